"""The networks that are timed: each builds, and is the same each time."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convkit.bench import networks
from convkit.bench.networks import NETWORKS, Network
from convkit.errors import ParameterError

EACH = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)


@EACH
def test_a_network_and_its_data_are_the_same_each_time(network: Network) -> None:
    first, second = network.build("float32"), network.build("float32", "naive")
    assert second.backend == "naive"
    for name, value in first.params.items():
        np.testing.assert_array_equal(value, second.params[name])
    (x, y), (again, _) = network.data(first), network.data(second)
    assert x.shape == (network.batch, *first.input_dim)
    assert x.dtype == np.float32
    assert len(y) == network.batch
    np.testing.assert_array_equal(x, again)


def test_all_or_those_that_are_named() -> None:
    assert networks.chosen(None) == list(NETWORKS)
    assert len({network.name for network in NETWORKS}) == len(NETWORKS)
    assert [n.name for n in networks.chosen("resnet20, conv2")] == ["resnet20", "conv2"]
    message = "set (='resnet') must be one of the networks conv2, conv2_bn, conv3_bn, resnet20, "
    with pytest.raises(ParameterError, match="^" + re.escape(message)):
        networks.chosen("resnet")
