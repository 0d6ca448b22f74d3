"""Operations beyond convolution and pooling, timed against PyTorch: ``convkit bench --others``.

Their figures stand in a table of their own, because a mean over different operations says little.
As in :mod:`convkit.bench.timing`, both sides take turns in one process with a pause between them, a
figure is a median over rounds, and results are compared before anything is timed. PyTorch's
gradients come through its autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from time import sleep
from typing import Any, TypeAlias

import numpy as np

from convkit import api
from convkit.bench.check import WrongAnswerError
from convkit.bench.problems import Arrays
from convkit.bench.timing import PAUSE_SECONDS, rotated, seconds_per_call
from convkit.errors import ParameterError

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Call: TypeAlias = Callable[[], Sequence[Any]]

PAD_NAMES = {"circular": "circular", "reflect": "reflect", "edge": "replicate"}
"""What PyTorch calls the modes of padding that it has."""


@dataclass(frozen=True)
class Case:
    """One problem of one function of the API.

    ``shapes`` are those of its inputs, ``keywords`` its other arguments. ``theirs`` computes the
    same of tensors by PyTorch, given the module, and returns one tensor or a tuple of them.
    ``gradients`` says whether it has ``<function>_forward`` and ``_backward``.
    """

    name: str
    function: str
    shapes: Shapes
    theirs: Callable[..., Any]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gradients: bool = True

    def small(self) -> Case:
        """The same problem of one image, for tests."""
        shapes = {
            name: (1, *shape[1:]) if name in ("x", "columns") else shape
            for name, shape in self.shapes.items()
        }
        keywords = dict(self.keywords)
        if "x_shape" in keywords:
            keywords["x_shape"] = (1, *keywords["x_shape"][1:])
        return Case(self.name, self.function, shapes, self.theirs, keywords, self.gradients)


@dataclass(frozen=True)
class Row:
    """Seconds of one side, a backend or ``"torch"``, for one direction of a case."""

    case: str
    function: str
    dtype: str
    subject: str
    direction: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


# --- the problems ---------------------------------------------------------------------------


def _transposed(torch: Any, x: Any, w: Any, b: Any, *, stride: int, pad: int) -> Any:
    return torch.nn.functional.conv_transpose2d(x, w, b, stride, pad)


def _padded(torch: Any, x: Any, w: Any, b: Any, *, pad: int, pad_mode: str) -> Any:
    grown = torch.nn.functional.pad(x, (pad,) * 4, PAD_NAMES[pad_mode])
    return torch.nn.functional.conv2d(grown, w, b)


def _batch_norm(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
    return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True)


def _group_norm(torch: Any, x: Any, gamma: Any, beta: Any, *, groups: int) -> Any:
    return torch.nn.functional.group_norm(x, groups, gamma, beta)


def _indices(torch: Any, x: Any, *, kernel: int, stride: int, pad: int) -> Any:
    return torch.nn.functional.max_pool2d(x, kernel, stride, pad, return_indices=True)


def _unfold(torch: Any, x: Any, *, kernel: int, pad: int) -> Any:
    return torch.nn.functional.unfold(x, kernel, padding=pad)


def _fold(torch: Any, columns: Any, *, x_shape: tuple[int, ...], kernel: int, pad: int) -> Any:
    return torch.nn.functional.fold(columns, x_shape[2:], kernel, padding=pad)


def _conv(x: tuple[int, ...], w: tuple[int, ...], filters: int) -> Shapes:
    return {"x": x, "w": w, "b": (filters,)}


def _norm(x: tuple[int, ...]) -> Shapes:
    return {"x": x, "gamma": x[1:2], "beta": x[1:2]}


_TWICE = {"stride": 2, "pad": 1}
_COLUMNS = {"kernel": 3, "pad": 1}
CASES: tuple[Case, ...] = (
    Case(
        "up_4x4s2", "conv_transpose", _conv((64, 64, 16, 16), (64, 32, 4, 4), 32), _transposed,
        _TWICE,
    ),
    Case(
        "unet_2x2s2", "conv_transpose", _conv((8, 256, 28, 28), (256, 128, 2, 2), 128), _transposed,
        {"stride": 2, "pad": 0},
    ),
    *(
        Case(
            f"{mode}_3x3", "conv", _conv((32, 64, 32, 32), (64, 64, 3, 3), 64), _padded,
            {"pad": 1, "pad_mode": mode},
        )
        for mode in PAD_NAMES
    ),
    Case("bn_cifar", "batch_norm", _norm((128, 16, 32, 32)), _batch_norm),
    Case("bn_resnet", "batch_norm", _norm((32, 256, 14, 14)), _batch_norm),
    Case("gn_resnet", "group_norm", _norm((16, 64, 56, 56)), _group_norm, {"groups": 8}),
    Case(
        "indices_2x2", "max_pool_indices", {"x": (64, 64, 32, 32)}, _indices,
        {"kernel": 2, "stride": 2, "pad": 0}, gradients=False,
    ),
    Case(
        "indices_3x3s2", "max_pool_indices", {"x": (4, 64, 112, 112)}, _indices,
        {"kernel": 3, **_TWICE}, gradients=False,
    ),
    Case(
        "unfold_3x3", "unfold", {"x": (16, 64, 32, 32)}, _unfold, _COLUMNS, gradients=False
    ),
    Case(
        "fold_3x3", "fold", {"columns": (16, 576, 1024)}, _fold,
        {"x_shape": (16, 64, 32, 32), **_COLUMNS}, gradients=False,
    ),
)  # fmt: skip

HAVE_BACKENDS = ("max_pool_indices",)
"""The functions without gradients that ask a backend."""


# --- calls ----------------------------------------------------------------------------------


def data_of(case: Case, dtype: Any, seed: int = 0) -> Arrays:
    """Return a case's inputs, small integers as often as not, so that sums come out the same."""
    rng = np.random.default_rng(seed)
    shapes = case.shapes.items()
    return {name: rng.integers(-4, 5, shape).astype(dtype) for name, shape in shapes}


def ours(case: Case, data: Arrays, backend: str) -> dict[str, Call]:
    """Return a call of convkit's for each direction; forward makes a cache where there is one."""
    keywords: dict[str, Any] = dict(case.keywords)
    if not case.gradients:
        if case.function in HAVE_BACKENDS:
            keywords["backend"] = backend
        function = partial(getattr(api, case.function), *data.values(), **keywords)
        return {"forward": lambda: _several(function())}
    forward = partial(
        getattr(api, f"{case.function}_forward"), *data.values(), **keywords, backend=backend
    )
    out, cache = forward()
    dout = _dout(out)
    backward = getattr(api, f"{case.function}_backward")
    return {"forward": lambda: forward()[:1], "backward": lambda: tuple(backward(dout, cache))}


def theirs(case: Case, data: Arrays, torch: Any) -> dict[str, Call]:
    """Return a call of PyTorch's for each direction."""
    plain = [torch.from_numpy(a) for a in data.values()]

    def forward() -> Sequence[Any]:
        with torch.inference_mode():
            return [t.numpy() for t in _several(case.theirs(torch, *plain, **case.keywords))]

    if not case.gradients:
        return {"forward": forward}
    leaves = [t.clone().requires_grad_() for t in plain]
    out = case.theirs(torch, *leaves, **case.keywords)
    dout = torch.from_numpy(_dout(out.detach().numpy()))

    def backward() -> Sequence[Any]:
        return [t.numpy() for t in torch.autograd.grad(out, leaves, dout, retain_graph=True)]

    return {"forward": forward, "backward": backward}


def _several(found: Any) -> Sequence[Any]:
    return found if isinstance(found, tuple) else (found,)


def _dout(out: Any) -> Any:
    return np.random.default_rng(1).integers(-4, 5, out.shape).astype(out.dtype)


# --- a run ----------------------------------------------------------------------------------


def run(
    backend: str,
    dtypes: Sequence[str],
    threads: int,
    rounds: int,
    cases: Sequence[Case] = CASES,
    on_step: Callable[[str], None] | None = None,
) -> list[Row]:
    """Time the cases with a backend and PyTorch, alternating; ``rounds`` samples of each.

    Raises ParameterError without PyTorch, and WrongAnswerError where the two disagree.
    """
    try:
        import torch
    except ImportError as error:
        raise ParameterError(
            "others needs PyTorch to compare with; install it with: pip install torch"
        ) from error
    torch.set_num_threads(threads)
    rows: list[Row] = []
    for dtype in dtypes:
        for case in cases:
            data = data_of(case, dtype)
            sides = {backend: ours(case, data, backend), "torch": theirs(case, data, torch)}
            _reject_wrong(case, dtype, *sides.values())
            rows += _timed(case, dtype, sides, rounds)
            if on_step:
                on_step(case.name)
    return rows


def _timed(
    case: Case, dtype: str, sides: Mapping[str, Mapping[str, Call]], rounds: int
) -> list[Row]:
    samples: dict[tuple[str, str], list[float]] = {
        (name, direction): [] for name, calls in sides.items() for direction in calls
    }
    for turn in range(rounds):
        for name in rotated(list(sides), turn):
            sleep(PAUSE_SECONDS)
            for direction, call in sides[name].items():
                samples[name, direction].append(seconds_per_call(call))
    return [
        Row(case.name, case.function, dtype, name, direction, median(found))
        for (name, direction), found in samples.items()
    ]


def _reject_wrong(
    case: Case, dtype: str, mine: Mapping[str, Call], other: Mapping[str, Call]
) -> None:
    """Raise unless half of the digits agree: a guard against timing different things, no proof."""
    tolerance = float(np.finfo(dtype).eps) ** 0.5
    for direction in mine:
        pairs = list(zip(mine[direction](), other[direction](), strict=True))
        for number, (got, wanted) in enumerate(pairs):
            size = float(np.abs(wanted).max(initial=1))
            if not np.allclose(got, wanted, rtol=tolerance, atol=tolerance * size):
                raise WrongAnswerError(
                    f"{case.name} ({dtype}) is not timed: result {number} of {direction} is not "
                    "PyTorch's"
                )


def text(rows: Sequence[Row]) -> str:
    """Return the table: milliseconds of both, and PyTorch's time divided by the backend's."""
    lines = [f"{'case':15}{'function':18}{'dtype':9}{'':10}{'ms':>9}{'torch ms':>10}{'x torch':>9}"]
    found = {(r.case, r.dtype, r.direction, r.subject == "torch"): r for r in rows}
    for (case, dtype, direction, is_torch), mine in found.items():
        if not is_torch:
            peer = found[case, dtype, direction, True].seconds
            lines.append(
                f"{case:15}{mine.function:18}{dtype:9}{direction:10}{mine.seconds * 1e3:9.3f}"
                f"{peer * 1e3:10.3f}{peer / mine.seconds:9.2f}"
            )
    return "\n".join(lines)
