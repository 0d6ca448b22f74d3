"""A small trained network in a file, and a folder of pictures, for the tests of what uses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convkit.models import ThreeLayerConvNet
from convkit.preprocessing import Preprocessing

CLASSES = ("dark", "grey", "light")
SHAPE = (3, 6, 8)


def network() -> ThreeLayerConvNet:
    """Return a network that tells dark, grey and light pictures apart, nearly."""
    net = ThreeLayerConvNet(SHAPE, 2, 3, 2, 3, rng=0)
    net.preprocessing = Preprocessing(SHAPE, 1 / 255, 0.0, 255.0)
    net.class_names = CLASSES
    filters = np.zeros_like(net.params["W1"])
    filters[:, :, 1, 1] = 1 / 3  # the brightness of a pixel, twice
    hidden = np.zeros_like(net.params["W2"])
    hidden[: len(hidden) // 2, 0] = 2 / len(hidden)
    hidden[len(hidden) // 2 :, 1] = 2 / len(hidden)
    rows = [[-20, 0, 20], [0, 0, 0]]
    net.params |= {
        "W1": filters,
        "W2": hidden,
        "W3": np.array(rows, np.float32),
        "b3": np.array([7, 1, -13], np.float32),
    }
    return net


def write_pictures(root: Path, count: int = 5, size: tuple[int, int] = (6, 8)) -> list[Path]:
    """Write pictures of each class into class folders; return their paths."""
    from PIL import Image

    written = []
    for name, light in zip(CLASSES, (20, 128, 240), strict=True):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((*size, 3), light + i, np.uint8)
            written.append(root / name / f"{i}.png")
            Image.fromarray(pixels).save(written[-1])
    return written
