"""The problems of a network's first layer."""

from __future__ import annotations

import math

import pytest

from convkit.bench import network
from convkit.models import Affine, Conv, Flatten, MaxPool, ReLU, Sequential
from convkit.models.placing import leaves


def problems_of(layers: list, batch_size: int = 50) -> list:
    model = Sequential(layers, input_dim=(3, 8, 8), rng=0)
    return network.first_layer_problems(list(leaves(model.places)), batch_size)


def test_the_convolution_and_a_pooling_of_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Conv(5, kernel=3, stride=1, pad=1), ReLU(), MaxPool(2), Flatten(), Affine(10)]
    conv, pool = problems_of(layers)
    assert conv.shapes["x"] == (50, 3, 8, 8)
    assert conv.shapes["w"] == (5, 3, 3, 3)
    assert pool.shapes == {"x": (50, 5, 8, 8), "dout": (50, 5, 4, 4)}
    # 5 filters on 8x8 pixels are 320 outputs an image.
    for outputs, images in ((3200, 10), (640, 2)):
        monkeypatch.setattr(network, "TIMED_OUTPUTS", outputs)
        assert problems_of(layers)[0].shapes["x"][0] == images


def test_without_a_pooling_or_a_convolution_there_is_none() -> None:
    conv = Conv(5, kernel=3, stride=2, pad=0)
    (problem,) = problems_of([conv, Flatten(), Affine(10)])
    assert problem.parameters["stride"] == 2
    assert problems_of([Flatten(), Affine(10)]) == []


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (224, 224), (1000, 8), (4000, 3000)])
@pytest.mark.parametrize(("filters", "kernel", "stride"), [(32, 7, 1), (64, 7, 2), (8, 3, 1)])
def test_what_is_timed_before_the_first_step_does_not_grow_with_the_images(
    size: tuple[int, int], filters: int, kernel: int, stride: int
) -> None:
    """With images of 224x224 the naive loops took two minutes."""
    first = Conv(filters, kernel, stride=stride, pad=kernel // 2)
    net = Sequential([first, MaxPool(2)], input_dim=(3, *size), loss=None)
    problems = network.first_layer_problems(list(leaves(net.places)), 50)
    assert [problem.kind for problem in problems] == ["conv", "max"]
    for problem in problems:
        assert math.prod(problem.out_shape) <= 2 * network.TIMED_OUTPUTS
    assert all(ours <= whole for ours, whole in zip(problems[0].x_shape[2:], size, strict=True))
    if size == (8, 8):
        assert problems[0].x_shape[2:] == size
