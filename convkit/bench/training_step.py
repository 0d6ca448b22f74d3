"""One training step of the three-layer network, in convkit and in PyTorch, and its timing.

conv 7x7 - relu - 2x2 max pool - affine - relu - affine - softmax, then stochastic gradient descent.
Both start from the same parameters, take NumPy images and return the updated parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import sleep
from typing import Any

import numpy as np

from convkit.bench.subjects import Ours, Subject
from convkit.bench.timing import PAUSE_SECONDS, seconds_per_call
from convkit.models import ThreeLayerConvNet
from convkit.training.optim import sgd

BATCH = 200
DTYPES = ("float32", "float64")
LEARNING_RATE = 1e-4


def batch(dtype: Any) -> tuple[Any, Any]:
    """Images (200, 3, 32, 32) and labels."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCH, 3, 32, 32)).astype(dtype)
    return images, rng.integers(0, 10, BATCH)


def our_step(backend: str, dtype: Any) -> Callable[[], dict[str, Any]]:
    """A call that makes a step and returns the parameters."""
    model = ThreeLayerConvNet(dtype=np.dtype(dtype).type, rng=0, backend=backend)
    images, labels = batch(dtype)
    config = {"learning_rate": LEARNING_RATE}

    def step() -> dict[str, Any]:
        _, gradients = model.loss(images, labels)
        for name, gradient in gradients.items():
            model.params[name], _ = sgd(model.params[name], gradient, config)
        return dict(model.params)

    return step


def torch_step(dtype: Any) -> Callable[[], dict[str, Any]]:
    """The same in PyTorch, with its own modules and optimiser."""
    import torch

    model = ThreeLayerConvNet(dtype=np.dtype(dtype).type, rng=0)
    params = {name: torch.tensor(value, requires_grad=True) for name, value in model.params.items()}
    images, labels = batch(dtype)
    optimiser = torch.optim.SGD(list(params.values()), lr=LEARNING_RATE)
    functional = torch.nn.functional

    def step() -> dict[str, Any]:
        optimiser.zero_grad(set_to_none=True)
        hidden = torch.conv2d(torch.from_numpy(images), params["W1"], params["b1"], padding=3)
        hidden = functional.max_pool2d(torch.relu(hidden), 2).flatten(1)
        hidden = torch.relu(hidden @ params["W2"] + params["b2"])
        scores = hidden @ params["W3"] + params["b3"]
        loss: Any = functional.cross_entropy(scores, torch.from_numpy(labels))
        loss.backward()
        optimiser.step()
        return {name: value.detach().numpy() for name, value in params.items()}

    return step


def steps(taking_part: Sequence[Subject], dtype: Any) -> dict[str, Callable[[], dict[str, Any]]]:
    """One step per subject."""
    return {
        subject.name: our_step(subject.name, dtype)
        if isinstance(subject, Ours)
        else torch_step(dtype)
        for subject in taking_part
    }


def training_rows(taking_part: Sequence[Subject], rounds: int) -> list[dict[str, Any]]:
    """Seconds of a training step per dtype and subject, the subjects alternating."""
    rows = []
    for dtype in DTYPES:
        calls = steps(taking_part, dtype)
        samples: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                sleep(PAUSE_SECONDS)
                samples[name].append(seconds_per_call(call))
        rows += [
            {"dtype": dtype, "subject": name, "seconds": median(taken)}
            for name, taken in samples.items()
        ]
    return rows
