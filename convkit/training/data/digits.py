"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from convkit.optional import require
from convkit.training.data.dataset import Dataset, assemble, split

__all__ = ["load_digits"]


def load_digits(rng: int | np.random.Generator | None = 0) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, (1, 8, 8) each; nothing is downloaded.

    70 % training, 10 % validation and 20 % test images, stratified by class. ``rng`` draws them.
    """
    digits = require("sklearn.datasets", "the data set 'digits'").load_digits()
    parts = split(digits.images[:, None], digits.target, rng)
    return assemble(parts, [str(name) for name in digits.target_names], white=16.0, scale=1 / 16)
