"""A network of convkit as one of PyTorch's own modules, with the same parameters.

The modules are those that a PyTorch user would write: nothing is measured here that has a cost of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from convkit.layers import mse_loss
from convkit.models import (
    Affine,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    ReLU,
    Sequential,
)
from convkit.models.placing import Branches, Place, Placed
from convkit.spec import ConvSpec, ConvTransposeSpec

Maker: TypeAlias = Callable[[Any, Place, dict[str, Any]], list[Any]]


def module(torch: Any, network: Sequential) -> Any:
    """Return an ``nn.Sequential`` that computes what ``network`` does, from the same parameters.

    Raises TypeError for a layer that is not in MAKERS.
    """
    dtype = getattr(torch, network.dtype.name)
    return torch.nn.Sequential(*_chain(torch, network.places, network)).to(dtype)


def loss_of(torch: Any, network: Sequential) -> Callable[[Any, Any], Any]:
    """Return PyTorch's name for the network's loss."""
    functional = torch.nn.functional
    found: Callable[[Any, Any], Any] = (
        functional.mse_loss if network.loss_function is mse_loss else functional.cross_entropy
    )
    return found


def _chain(torch: Any, chain: Sequence[Placed], network: Sequential) -> list[Any]:
    made: list[Any] = []
    for placed in chain:
        if isinstance(placed, Branches):
            made.append(_residual(torch, placed, network))
            continue
        try:
            maker = MAKERS[type(placed.layer)]
        except KeyError:
            raise TypeError(f"{placed.title} has no module of PyTorch here") from None
        made += maker(torch, placed, placed.arrays(network))
    return made


def _residual(torch: Any, placed: Branches, network: Sequential) -> Any:
    nn = torch.nn

    class Residual(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(*_chain(torch, placed.main, network))
            self.shortcut = nn.Sequential(*_chain(torch, placed.shortcut, network))

        def forward(self, x: Any) -> Any:
            out = self.main(x) + self.shortcut(x)
            return nn.functional.relu(out) if placed.layer.relu else out

    return Residual()


def _filled(torch: Any, made: Any, **arrays: Any) -> list[Any]:
    for name, value in arrays.items():
        if value is not None:
            getattr(made, name).data = torch.tensor(value)
    return [made]


def _conv(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    layer: Any = place.layer
    w, b = arrays["W"], arrays.get("b")
    transposed = isinstance(layer, ConvTranspose)
    spec: Any = (ConvTransposeSpec if transposed else ConvSpec).of(
        (1, *place.shape), w.shape, dtype=w.dtype, **layer.parameters(True)
    )
    if any(begin != end for begin, end in spec.pad):
        raise TypeError(f"{place.title}: a module of PyTorch pads both ends alike")
    name = f"Conv{'Transpose' if transposed else ''}{spec.axes}d"
    more = {"output_padding": spec.output_pad} if transposed else {}
    made = getattr(torch.nn, name)(
        place.shape[0], layer.filters, spec.kernel, spec.stride, tuple(p[0] for p in spec.pad),
        groups=spec.groups, bias=b is not None, dilation=spec.dilation, **more,
    )  # fmt: skip
    return _filled(torch, made, weight=w, bias=b)


def _affine(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    w, b = arrays["W"], arrays.get("b")
    linear = torch.nn.Linear(*w.shape, bias=b is not None)
    flat = [torch.nn.Flatten()] if len(place.shape) > 1 else []
    return flat + _filled(torch, linear, weight=w.T.copy(), bias=b)


def _batch_norm(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    layer: Any = place.layer
    axes = len(place.shape) - 1
    made = getattr(torch.nn, f"BatchNorm{max(axes, 1)}d")(
        place.shape[0], eps=layer.eps, momentum=1 - layer.momentum
    )
    moved = {name: arrays[name] for name in layer.state}
    return _filled(torch, made, weight=arrays["gamma"], bias=arrays["beta"], **moved)


def _max_pool(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    layer: Any = place.layer
    name = f"MaxPool{len(place.shape) - 1}d"
    return [getattr(torch.nn, name)(layer.kernel, layer.stride, layer.pad, layer.dilation)]


def _avg_pool(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    layer: Any = place.layer
    make = getattr(torch.nn, f"AvgPool{len(place.shape) - 1}d")
    return [make(layer.kernel, layer.stride, layer.pad, layer.ceil_mode, layer.count_include_pad)]


def _global(torch: Any, place: Place, arrays: dict[str, Any]) -> list[Any]:
    pool = getattr(torch.nn, f"AdaptiveAvgPool{len(place.shape) - 1}d")
    return [pool(1), torch.nn.Flatten()]


MAKERS: dict[type, Maker] = {
    Conv: _conv,
    ConvTranspose: _conv,
    Affine: _affine,
    BatchNorm: _batch_norm,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    GlobalAvgPool: _global,
    Flatten: lambda torch, place, arrays: [torch.nn.Flatten()],
    ReLU: lambda torch, place, arrays: [torch.nn.ReLU()],
}
"""What each layer becomes; a network with other layers is timed without PyTorch."""
