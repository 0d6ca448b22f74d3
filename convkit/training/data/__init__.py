"""Data sets: images and labels in three parts, ready for a solver.

`dataset` says what a data set is; each kind of source has a loader of its own; :func:`load_data`
picks the loader. A file that is not what it should be is a DataError of one line that names the
file, what was expected and what was found.
"""

from convkit.training.data.dataset import (
    DATASETS,
    Dataset,
    Raw,
    assemble,
    assembled,
    picture,
    split,
    standardise,
)
from convkit.training.data.digits import load_digits
from convkit.training.data.folders import DataWarning, FolderOptions
from convkit.training.data.load import load_data, read_data

__all__ = [
    "DATASETS",
    "DataWarning",
    "Dataset",
    "FolderOptions",
    "Raw",
    "assemble",
    "assembled",
    "load_data",
    "load_digits",
    "picture",
    "read_data",
    "split",
    "standardise",
]
