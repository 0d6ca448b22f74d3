"""What a backend is: the protocol, its version and the pluggy hook that returns one.

This module is all a backend's author needs besides :mod:`convkit.spec` and :mod:`convkit.errors`.
It holds no logic and must import nothing of convkit but the spec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import pluggy

if TYPE_CHECKING:
    from convkit.spec import ConvSpec, PoolSpec

Array: TypeAlias = npt.NDArray[np.floating[Any]]

API_VERSION = 1
"""The version of this protocol. A backend states the one it was written for."""

PROJECT = "convkit"
ENTRY_POINT_GROUP = "convkit.backends"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@runtime_checkable
class Backend(Protocol):
    """What every backend has.

    Arrays arrive checked, C-contiguous, aligned, in native byte order and of one dtype; the spec
    has every size worked out. Inputs are not to be written to, outputs are new C-contiguous
    arrays. ``saved`` is the backend's own. Methods are reentrant.

    Optional members, looked up once when the backend is loaded:

    * ``exact: bool = True`` - False when intermediate values are rounded (Winograd, FFT).
    * ``error_factor: float = 1`` - with ``exact = False``, how many times the bound, at most 32.
    * ``reproducible: bool = False`` - the same bits on repeat and for every thread count.
    * ``pad_modes: tuple[str, ...] = ("zeros",)`` - which values of ``ConvSpec.pad_mode`` its
      methods understand. For the others convkit pads x first, and folds dx back.
    * ``conv_infer(spec, x, w, b) -> out`` and ``pool_infer(spec, x) -> out`` - forward that keeps
      nothing for backward.
    * ``conv_relu_pool_forward(conv_spec, pool_spec, x, w, b) -> (out, saved)`` and
      ``conv_relu_pool_backward(conv_spec, pool_spec, dout, x, w, saved, needs) -> (dx, dw, db)``
      - both or none. relu keeps NaN; its derivative is 1 where its argument is above 0, else 0.
    * ``conv_relu_forward(spec, x, w, b) -> (out, saved)`` and
      ``conv_relu_backward(spec, dout, x, w, saved, needs) -> (dx, dw, db)`` - both or none - and
      ``conv_relu_infer(spec, x, w, b) -> out``, with the same relu. The spec is the convolution's.
    * ``conv_transpose_forward(spec, x, w, b) -> (out, saved)``,
      ``conv_transpose_backward(spec, dout, x, w, saved, needs) -> (dx, dw, db)`` - both or none -
      and ``conv_transpose_infer(spec, x, w, b) -> out``. ``supports`` is asked about a
      ConvTransposeSpec only where the backend has them; otherwise, and where it declines, about
      ``spec.adjoint``, whose input is the part of out that x reaches (``spec.reached``).
    * ``batch_norm_forward(spec, x, gamma, beta, mean, var, residual) -> (out, saved, mean, var)``
      (not in training: ``(out, saved)``), ``group_norm_forward(spec, x, gamma, beta, residual) ->
      (out, saved)``, ``batch_norm_backward(spec, dout, x, gamma, beta, saved, needs)`` and
      ``group_norm_backward(spec, dout, x, gamma, beta, saved, needs)`` ``-> (dx, dgamma, dbeta)``,
      then dresidual where one was added - forward and backward, both or none. Inference by
      ``batch_norm_infer(spec, x, gamma, beta, mean, var, residual) -> out`` and
      ``group_norm_infer(spec, x, gamma, beta, residual) -> out``.
    * ``conv_bn_relu_forward(conv_spec, norm_spec, pool_spec, x, w, b, gamma, beta, mean, var,
      residual) -> (out, saved, mean, var)`` (not in training: ``(out, saved)``) and
      ``conv_bn_relu_backward(conv_spec, norm_spec, pool_spec, dout, x, w, gamma, beta, saved,
      needs) -> (dx, dw, db, dgamma, dbeta)``, then dresidual where one was added - both or none -
      and ``conv_bn_relu_infer(conv_spec, norm_spec, pool_spec, x, w, b, gamma, beta, mean, var,
      residual) -> out``. ``norm_spec`` says whether relu and a residual belong to it; ``pool_spec``
      is None where nothing is pooled.
    * ``set_num_threads(n)`` and ``info() -> dict`` (dtypes, instruction set, threads).
    * ``release_memory()`` - give back to the system what is kept of freed results' memory. A
      backend that keeps some fills it with NaN before it is used again, if the environment
      variable ``CONVKIT_POISON`` is set: an element that is never written then shows.
    """

    name: str
    api_version: int

    def supports(self, spec: ConvSpec | PoolSpec) -> str | None:
        """None where the backend solves this problem, else the reason in one sentence."""

    def conv_forward(
        self, spec: ConvSpec, x: Array, w: Array, b: Array | None
    ) -> tuple[Array, Any]:
        """Return ``out`` of shape ``spec.out_shape`` and what backward will need."""

    def conv_backward(
        self, spec: ConvSpec, dout: Array, x: Array, w: Array, saved: Any, needs: tuple[str, ...]
    ) -> tuple[Array | None, Array | None, Array | None]:
        """Return ``(dx, dw, db)``; what ``needs`` does not name may be None."""

    def pool_forward(self, spec: PoolSpec, x: Array) -> tuple[Array, Any]:
        """Return ``out`` of shape ``spec.out_shape`` and what backward will need."""

    def pool_backward(self, spec: PoolSpec, dout: Array, saved: Any) -> Array:
        """Return ``dx`` of shape ``spec.x_shape``."""


class HookSpec:
    """The hooks of the pluggy project ``convkit``."""

    @hookspec(firstresult=True)
    def convkit_backend(self) -> Backend | None:
        """Return the plug-in's backend. Called once, when the backend is first wanted."""


class ObserverSpec:
    """The hooks of an observer, see ``convkit.register_observer``."""

    @hookspec
    def convkit_call_finished(self, call: Any) -> None:
        """Called after every call of a backend's method, with a ``convkit.calls.tracing.Call``."""
