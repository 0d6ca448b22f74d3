from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.spec import ConvSpec, NormSpec, PoolSpec

_Floats: TypeAlias = npt.NDArray[np.floating[Any]]
_Ints: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]

INTERFACE: int
NUMBERS: dict[tuple[str, str], int]
RULES: dict[str, int]

class InstructionSet:
    name: str
    vector_bytes: int
    masked_loads: bool
    most_taps: int
    most_blocks: int
    most_across: int
    most_plane_vectors: int
    pretransform_bytes: int
    def __init__(self) -> None: ...
    def rule(self, name: str, spec: ConvSpec) -> int: ...

def isas() -> dict[str, tuple[int, bool]]: ...
def active_isa() -> str: ...
def set_isa(name: str) -> None: ...
def num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def set_buffer_pool(limit: int | None = None, idle_seconds: float = 10) -> None: ...
def empty_buffer_pool() -> None: ...
def buffer_pool() -> dict[str, int]: ...
def multiply_adds(double_precision: bool, rounds: int) -> float: ...
def copy(to: Any, source: Any) -> None: ...

class Plan:
    spec: ConvSpec | PoolSpec | NormSpec

class ConvPlan(Plan):
    spec: ConvSpec
    def __init__(self, spec: ConvSpec, forward: str, dx: str, dw: str) -> None: ...
    def forward(
        self, x: _Floats, w: _Floats, b: _Floats | None, out: _Floats, relu: bool = False
    ) -> None: ...
    def backward_x(self, dout: _Floats, w: _Floats, dx: _Floats) -> None: ...
    def backward_w(
        self, dout: _Floats, x: _Floats, dw: _Floats | None, db: _Floats | None
    ) -> None: ...
    def positive(self, out: _Floats, bits: npt.NDArray[np.uint8]) -> None: ...
    def passed(self, dout: _Floats, bits: npt.NDArray[np.uint8], dz: _Floats) -> None: ...

class PoolPlan(Plan):
    spec: PoolSpec
    arg_bytes: int
    def __init__(self, spec: PoolSpec, forward: str, backward: str) -> None: ...
    def forward(self, x: _Floats, out: _Floats, arg: _Ints | None) -> None: ...
    def backward(self, dout: _Floats, arg: _Ints | None, dx: _Floats) -> None: ...

class NormPlan(Plan):
    spec: NormSpec
    statistics_shape: tuple[int, ...]
    positive_bytes: int
    def __init__(self, spec: NormSpec, name: str) -> None: ...
    def forward(
        self,
        x: _Floats,
        gamma: _Floats,
        beta: _Floats,
        residual: _Floats | None,
        statistics: npt.NDArray[np.float64],
        positive: npt.NDArray[np.uint8] | None,
        out: _Floats,
    ) -> None: ...
    def backward(
        self,
        dout: _Floats,
        x: _Floats,
        gamma: _Floats,
        statistics: npt.NDArray[np.float64],
        positive: npt.NDArray[np.uint8] | None,
        dx: _Floats | None,
        dgamma: _Floats | None,
        dbeta: _Floats | None,
        dresidual: _Floats | None,
    ) -> None: ...

def pooled_gradients(
    conv: ConvPlan,
    pool: PoolPlan,
    dout: _Floats,
    arg: _Ints,
    x: _Floats,
    dw: _Floats,
    db: _Floats | None,
) -> bool: ...
def norm_pool_forward(
    norm: NormPlan,
    pool: PoolPlan,
    x: _Floats,
    gamma: _Floats,
    beta: _Floats,
    residual: _Floats | None,
    statistics: npt.NDArray[np.float64],
    out: _Floats,
    arg: _Ints | None,
) -> None: ...
def norm_pool_backward(
    norm: NormPlan,
    pool: PoolPlan,
    dout: _Floats,
    arg: _Ints,
    x: _Floats,
    gamma: _Floats,
    statistics: npt.NDArray[np.float64],
    dx: _Floats | None,
    dgamma: _Floats | None,
    dbeta: _Floats | None,
    dresidual: _Floats | None,
) -> None: ...

class Calls:
    def __init__(self, make: Callable[[Any], Plan]) -> None: ...
    def plan(self, spec: ConvSpec | PoolSpec | NormSpec) -> Any: ...
    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]: ...
    def conv_forward(
        self, spec: ConvSpec, x: _Floats, w: _Floats, b: _Floats | None
    ) -> tuple[_Floats, None]: ...
    def conv_infer(self, spec: ConvSpec, x: _Floats, w: _Floats, b: _Floats | None) -> _Floats: ...
    def pool_forward(self, spec: PoolSpec, x: _Floats) -> tuple[_Floats, _Ints | None]: ...
    def pool_infer(self, spec: PoolSpec, x: _Floats) -> _Floats: ...
