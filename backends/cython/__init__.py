"""The fast backend: compiled kernels for convolutions, pools and norms, by instruction set.

This module only allocates outputs and finds the plan of a problem. The kernels are in ``src``,
their choice is in ``table``. Without the compiled module the import fails and says why.
"""

from __future__ import annotations

import os
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.contract import API_VERSION, hookimpl
from convkit.spec import ConvSpec, NormSpec, PoolSpec

from . import table
from .activated import Activated
from .conv_bn import NormalisedConvolutions
from .norms import Norms
from .parts import of_images, parts
from .table import KERNELS, Kernel
from .transposed import Transposed

try:
    from . import _kernels
except ImportError as error:
    raise ImportError(
        "convkit_cython was installed without its compiled kernels, as happens where no C "
        "compiler is found; install a C compiler (gcc or clang), then install convkit again"
        f" ({error})"
    ) from error


def _check_compiled() -> None:
    """Refuse a module compiled from older or newer sources than the Python beside it.

    An editable install follows the sources, its compiled module does not: a kernel that only one of
    them lists, or that takes other arguments, must not be called.
    """
    built = getattr(_kernels, "INTERFACE", None)
    unlisted = table.COMPILED ^ set(getattr(_kernels, "NUMBERS", ()))
    if built == table.INTERFACE and not unlisted:
        return
    which = ", ".join(" ".join(kernel) for kernel in sorted(unlisted)) or "none"
    raise ImportError(
        f"convkit_cython._kernels.INTERFACE (={built}) must be {table.INTERFACE}, and its kernels "
        f"those of the table (listed by one alone: {which}): it was compiled from older or newer "
        "sources; rebuild it: pip install -e ."
    )


_check_compiled()

__all__ = ["KERNELS", "CythonBackend", "Kernel", "candidates", "convkit_backend"]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Plan: TypeAlias = "_kernels.ConvPlan | _kernels.PoolPlan | _kernels.NormPlan"

_ARG_DTYPES = {1: np.uint8, 2: np.uint16, 4: np.uint32}
# How much of a fused layer's convolution is stored at a time. Forward, it is pooled while it is in
# the cache; backward, parts are larger, because the sums of each must be added up.
_FORWARD_BYTES = 2 << 20
_BACKWARD_BYTES = 4 << 20


def _like(array: Array | None) -> Array | None:
    return None if array is None else np.empty_like(array)


def candidates(operation: str, problem: Any, kernels: tuple[Kernel, ...] = KERNELS) -> list[Kernel]:
    """Return the kernels that compute this problem, the one that runs it first.

    The problem is a spec, or for a fused operation a tuple of them.
    """
    return table.candidates(operation, problem, _kernels.InstructionSet(), kernels)


def make_plan(spec: ConvSpec | PoolSpec | NormSpec, kernels: tuple[Kernel, ...] = KERNELS) -> Plan:
    """Return the plan that runs ``spec`` with the kernels that the table chooses."""
    isa = _kernels.InstructionSet()
    if isinstance(spec, NormSpec):
        return _kernels.NormPlan(spec, table.choose("norm_forward", spec, isa, kernels).name)
    if isinstance(spec, PoolSpec):
        operations = [f"{spec.kind}_pool_forward", f"{spec.kind}_pool_backward"]
        names = [table.choose(o, spec, isa, kernels).name for o in operations]
        return _kernels.PoolPlan(spec, *names)
    operations = ["conv_forward", "conv_dx", "conv_dw"]
    names = [table.choose(o, spec, isa, kernels).name for o in operations]
    return _kernels.ConvPlan(spec, *names)


@lru_cache(maxsize=256)
def _pooled_dw_kernel(conv_spec: ConvSpec, pool_spec: PoolSpec) -> str:
    """The kernel of dw of conv - relu - max pool; it does not depend on the instruction set."""
    specs = conv_spec, pool_spec
    return table.choose("conv_relu_pool_dw", specs, _kernels.InstructionSet()).name


class CythonBackend(Transposed, Activated, NormalisedConvolutions, Norms, _kernels.Calls):
    """Compiled kernels behind convkit's backend protocol; the forward calls are compiled too."""

    name = "cython"
    api_version = API_VERSION
    exact = True
    reproducible = True
    kernels = KERNELS

    def __init__(self) -> None:
        super().__init__(partial(make_plan, kernels=self.kernels))
        # If what the variables ask for cannot be done, the backend does not load.
        if os.environ.get("CONVKIT_ISA") == "wide" and "wide" not in _kernels.isas():
            raise ImportError(
                "CONVKIT_ISA (='wide') must name kernels that are built, and these are for tests "
                "only; build them in a checkout: CONVKIT_BUILD_WIDE=1 pip install -e ."
            )
        _kernels.active_isa()
        threads = os.environ.get("CONVKIT_NUM_THREADS", "").strip()
        if threads and not (threads.isascii() and threads.isdecimal() and int(threads) > 0):
            raise ImportError(
                f"CONVKIT_NUM_THREADS (={threads!r}) must be a whole number, 1 or more; "
                "unset it for one thread per CPU"
            )
        pool = os.environ.get("CONVKIT_BUFFER_POOL", "").strip()
        if pool and not (pool.isascii() and pool.isdecimal() and int(pool) < 1 << 63):
            raise ImportError(
                f"CONVKIT_BUFFER_POOL (={pool!r}) must be a whole number of bytes, 0 to keep none; "
                "unset it for the default"
            )
        _kernels.set_buffer_pool(int(pool) if pool else None)

    def supports(self, spec: ConvSpec | PoolSpec | NormSpec) -> str | None:
        """None, or the reason against: windows of more than three spatial axes."""
        if isinstance(spec, NormSpec) or len(spec.kernel) <= 3:
            return None
        return f"its kernels take up to 3 spatial axes, not {len(spec.kernel)}"

    def conv_backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: None, needs: tuple[str, ...]
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return the gradients ``needs`` names, None for the others."""
        plan = self.plan(spec)
        dx = dw = db = None
        if "dx" in needs:
            dx = self.empty(spec.x_shape, spec.dtype)
            plan.backward_x(dout, w, dx)
        if "dw" in needs:
            dw = self.empty(spec.w_shape, spec.dtype)
        if "db" in needs:
            db = self.empty(spec.w_shape[:1], spec.dtype)
        if dw is not None or db is not None:
            plan.backward_w(dout, x, dw, db)
        return dx, dw, db

    def pool_backward(self, spec: PoolSpec, dout: Array, saved: Any) -> Array:
        """Return ``dx``."""
        dx = self.empty(spec.x_shape, spec.dtype)
        self.plan(spec).backward(dout, saved, dx)
        return dx

    def conv_relu_pool_forward(
        self, conv_spec: ConvSpec, pool_spec: PoolSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, Any]:
        """Return ``out``, and the index of each maximum that is above 0, in a byte (or two).

        A few images at a time, so that the convolution's result, already through ReLU, is pooled
        while it is in the cache, and never stored as a whole.
        """
        out = self.empty(pool_spec.out_shape, pool_spec.dtype)
        arg = self.empty(pool_spec.out_shape, _ARG_DTYPES[self.plan(pool_spec).arg_bytes])
        for part in parts(conv_spec, _FORWARD_BYTES):
            count = part.stop - part.start
            z = self.empty((count, *conv_spec.out_shape[1:]), conv_spec.dtype)
            self.plan(of_images(conv_spec, count)).forward(x[part], w, b, z, True)
            self.plan(of_images(pool_spec, count)).forward(z, out[part], arg[part])
            arg[part] |= -(~(out[part] > 0)).astype(arg.dtype)  # all bits: no argmax
        return out, arg

    def conv_relu_pool_backward(
        self,
        conv_spec: ConvSpec,
        pool_spec: PoolSpec,
        dout: Array,
        x: Array,
        w: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return the gradients ``needs`` names.

        A maximum of 0 or NaN has no gradient, whichever pixel of its window it came from.
        """
        args = conv_spec, pool_spec, dout, x, w, saved
        if "dw" in needs and _pooled_dw_kernel(conv_spec, pool_spec) == "pooled":
            dw = self.empty(conv_spec.w_shape, conv_spec.dtype)
            db = self.empty(conv_spec.w_shape[:1], conv_spec.dtype) if "db" in needs else None
            plans = self.plan(conv_spec), self.plan(pool_spec)
            if _kernels.pooled_gradients(*plans, dout, saved, x, dw, db):
                return self._unpooled(*args, ("dx",))[0] if "dx" in needs else None, dw, db
        return self._unpooled(*args, needs)

    def _unpooled(
        self,
        conv_spec: ConvSpec,
        pool_spec: PoolSpec,
        dout: Array,
        x: Array,
        w: Array,
        saved: Any,
        needs: tuple[str, ...],
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return the gradients by way of the convolution's own, for some images at a time.

        So that is never stored as a whole either. Parts are cut by the shape alone, and so are the
        sums.
        """
        dtype = conv_spec.dtype
        dx = self.empty(conv_spec.x_shape, dtype) if "dx" in needs else None
        dw = np.zeros(conv_spec.w_shape, dtype) if "dw" in needs else None
        db = np.zeros(conv_spec.w_shape[:1], dtype) if "db" in needs else None
        for part in parts(conv_spec, max(_BACKWARD_BYTES, 2 * w.nbytes)):
            count = part.stop - part.start
            dz = self.pool_backward(of_images(pool_spec, count), dout[part], saved[part])
            plan = self.plan(of_images(conv_spec, count))
            if dx is not None:
                plan.backward_x(dz, w, dx[part])
            if dw is not None or db is not None:
                dw_part, db_part = _like(dw), _like(db)
                plan.backward_w(dz, x[part], dw_part, db_part)
                for total, more in ((dw, dw_part), (db, db_part)):
                    if total is not None:
                        total += more
        return dx, dw, db

    def set_num_threads(self, n: int) -> None:
        """Give large problems ``n`` threads; results do not depend on it."""
        _kernels.set_num_threads(n)

    def multiply_adds(self, dtype: Any, rounds: int) -> float:
        """Multiply and add in registers alone, on all threads; return how many operations.

        For benchmarks: the peak of this machine.
        """
        return _kernels.multiply_adds(np.dtype(dtype).itemsize == 8, rounds)

    def copy(self, to: npt.NDArray[Any], source: npt.NDArray[Any]) -> None:
        """Copy ``source`` to ``to``, of the same size, on all threads; for benchmarks too."""
        _kernels.copy(to, source)

    def release_memory(self) -> None:
        """Give back to the system what is kept of freed results' memory."""
        _kernels.empty_buffer_pool()

    def info(self) -> dict[str, Any]:
        """Dtypes, instruction set, threads, and the bytes of the pool of result buffers."""
        return {
            "dtypes": ["float32", "float64"],
            "instruction_set": _kernels.active_isa(),
            "threads": _kernels.num_threads(),
            "buffer_pool": _kernels.buffer_pool(),
        }


@hookimpl
def convkit_backend() -> CythonBackend:
    """The plug-in's hook."""
    return CythonBackend()
