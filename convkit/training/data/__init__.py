"""Data sets: images and labels in three parts, ready for a solver.

`dataset` is what all loaders end in, the others are one loader for each kind of source, and
:func:`load_data` picks one.
"""

from convkit.training.data.dataset import (
    DATASETS,
    Dataset,
    assemble,
    load_data,
    load_digits,
    picture,
    split,
)

__all__ = ["DATASETS", "Dataset", "assemble", "load_data", "load_digits", "picture", "split"]
