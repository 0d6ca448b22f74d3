"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from convkit.optional import require
from convkit.training.data.dataset import Dataset, Preparation, Raw, assembled

__all__ = ["load_digits"]


def load_digits(
    rng: int | np.random.Generator | None = 0, preparation: Preparation = "mean"
) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, (1, 8, 8) each; nothing is downloaded.

    70 % training, 10 % validation and 20 % test images, stratified by class. ``rng`` draws them.
    """
    return assembled(read_digits().divided(rng), preparation)


def read_digits() -> Raw:
    """Return the digits undivided, with values from 0 to 16."""
    digits = require("sklearn.datasets", "the data set 'digits'").load_digits()
    names = [str(name) for name in digits.target_names]
    return Raw({"": (digits.images[:, None], digits.target)}, names, white=16.0, scale=1 / 16)
