"""Every operation's entry by its name. A test compares the names with `convkit.operations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from convkit.conformance.entry import Entry
from convkit.conformance.operations.avg_pool import AvgPool
from convkit.conformance.operations.batch_norm import BatchNorm
from convkit.conformance.operations.conv import Conv
from convkit.conformance.operations.conv_bn_relu import ConvBnRelu
from convkit.conformance.operations.conv_relu import ConvRelu
from convkit.conformance.operations.conv_relu_pool import ConvReluPool
from convkit.conformance.operations.conv_transpose import ConvTranspose
from convkit.conformance.operations.group_norm import GroupNorm
from convkit.conformance.operations.max_pool import MaxPool

ENTRIES: Mapping[str, Entry] = MappingProxyType(
    {
        "conv": Conv(),
        "max_pool": MaxPool(),
        "avg_pool": AvgPool(),
        "conv_relu_pool": ConvReluPool(),
        "conv_relu": ConvRelu(),
        "conv_transpose": ConvTranspose(),
        "batch_norm": BatchNorm(),
        "group_norm": GroupNorm(),
        "conv_bn_relu": ConvBnRelu(),
    }
)


def names(wanted: Callable[[Entry], object]) -> tuple[str, ...]:
    """Return the operations whose entry is wanted, in order."""
    return tuple(name for name, entry in ENTRIES.items() if wanted(entry))
