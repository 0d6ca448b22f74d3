"""Every picture draws without a display, in both themes, also where there is little to draw."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.image as matplotlib_image
import numpy as np
import pytest
from matplotlib.figure import Figure

from convkit.report import plots
from convkit.report.theme import DARK, LIGHT, Theme

pytestmark = pytest.mark.long

CLASSES = ["cat", "dog", "ship"]
CONFUSION = np.array([[5, 1, 0], [0, 4, 2], [0, 0, 0]])
RNG = np.random.default_rng(0)
SPEEDS = [
    {"backend": name, "operation": operation, "speedup": factor}
    for name, factor in (("cython", 400.0), ("naive", 1.0))
    for operation in ("conv forward", "pool backward")
]

PICTURES: dict[str, Callable[[Theme], Figure]] = {
    "loss": lambda t: plots.loss_curve([2.3, 1.0, 0.5], t),
    "loss of one step": lambda t: plots.loss_curve([2.3], t),
    "loss of none": lambda t: plots.loss_curve([], t),
    "loss that diverged": lambda t: plots.loss_curve([2.3, 1e30, np.nan, np.inf], t),
    "loss that explodes": lambda t: plots.loss_curve([2.3, 1e3, 1e7], t),
    "accuracy without validation": lambda t: plots.accuracy_curve([1, 5], [0.1, 0.9], [], t),
    "loss of zero": lambda t: plots.loss_curve([0.0, 0.0], t),
    "accuracy": lambda t: plots.accuracy_curve([1, 5], [0.1, 0.9], [0.1, 0.8], t),
    "accuracy of none": lambda t: plots.accuracy_curve([], [], [], t),
    "filters": lambda t: plots.filters(RNG.standard_normal((8, 3, 7, 7)), t),
    "filters of one channel": lambda t: plots.filters(RNG.standard_normal((5, 1, 3, 3)), t),
    "filters of 5 channels": lambda t: plots.filters(RNG.standard_normal((4, 5, 1, 2)), t),
    "filters of zeros": lambda t: plots.filters(np.zeros((4, 3, 3, 3)), t),
    "filters of NaN": lambda t: plots.filters(np.full((4, 3, 3, 3), np.nan), t),
    "class accuracy": lambda t: plots.class_accuracy(CONFUSION, CLASSES, t),
    "confusion": lambda t: plots.confusion_matrix(CONFUSION, CLASSES, t),
    "confusion of many": lambda t: plots.confusion_matrix(
        np.eye(50, dtype=int), [str(i) for i in range(50)], t
    ),
    "misclassified": lambda t: plots.misclassified(
        RNG.random((7, 3, 4, 4)), [0] * 7, [1] * 7, CLASSES, t
    ),
    "misclassified, none": lambda t: plots.misclassified(
        np.empty((0, 1, 1, 1)), [], [], CLASSES, t
    ),
    "speedups": lambda t: plots.speedups(SPEEDS, t),
    "speedups without a reference": lambda t: plots.speedups(
        [{"backend": "x", "operation": "conv forward", "speedup": float("nan")}], t
    ),
    "sweep": lambda t: plots.sweep_curves(
        {str(i): ([1, 2], [1.0, 0.5]) for i in range(9)}, "reg", "loss", t
    ),
    "sweep of none": lambda t: plots.sweep_curves({}, "reg", "accuracy", t),
}


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", PICTURES)
def test_it_is_a_picture_of_more_than_one_colour(name: str, theme: Theme) -> None:
    png = plots.png_bytes(PICTURES[name](theme))
    pixels = matplotlib_image.imread(io.BytesIO(png))[..., :3]
    assert min(pixels.shape[:2]) >= 100
    paper = np.array([int(theme.paper[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    assert (np.abs(pixels - paper) > 0.02).any(), "nothing was drawn"


def test_the_same_figure_gives_the_same_bytes() -> None:
    make = PICTURES["loss"]
    assert plots.png_bytes(make(LIGHT)) == plots.png_bytes(make(LIGHT))
    assert plots.png_bytes(make(LIGHT)) != plots.png_bytes(make(DARK))


def test_save_writes_the_file(tmp_path: Path) -> None:
    figure = PICTURES["loss"](LIGHT)
    plots.save(figure, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes() == plots.png_bytes(figure)


def test_a_sweep_has_one_labelled_curve_per_value() -> None:
    curves = {label: ([1, 2, 3], [3.0, 2.0, 1.0]) for label in ("0.05", "0.005", "0.0005")}
    axes = plots.sweep_curves(curves, "learning rate", "loss").axes[0]
    assert [line.get_label() for line in axes.get_lines()] == list(curves)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(curves)
    assert legend.get_title().get_text() == "learning rate"
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
    assert len(looks) == len(curves)


def test_losses_of_a_sweep_that_differ_by_powers_of_ten_are_all_seen() -> None:
    curves = {
        "0.5": ([1, 2, 3], [70.0, 10.0, 2.3]),
        "0.005": ([1, 2, 3], [2.5, 0.5, 0.08]),
        "0.05": ([1, 2, 3], [9.0, 1e30, np.inf]),  # diverges: it may leave the picture
    }
    axes = plots.sweep_curves(curves, "reg", "loss").axes[0]
    bottom, top = axes.get_ylim()
    assert bottom < 0.08
    assert 70 < top < 1000
    assert axes.get_yscale() == "log"
    numbers = {label.get_text() for label in axes.get_yticklabels()}
    assert {"0.1", "0.2", "0.5", "1", "100"} <= numbers


def test_more_curves_than_colours_can_still_be_told_apart() -> None:
    curves = {str(i): ([1], [1.0]) for i in range(2 * len(LIGHT.series) + 1)}
    axes = plots.sweep_curves(curves, "reg", "loss").axes[0]
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
    assert len(looks) == len(curves)


def test_class_accuracy_says_the_share_and_the_count() -> None:
    texts = [t.get_text() for t in plots.class_accuracy(CONFUSION, CLASSES).axes[0].texts]
    assert texts == ["83% of 6", "67% of 6", "no images"]


def test_confusion_matrix_puts_the_true_class_in_rows() -> None:
    axes = plots.confusion_matrix(CONFUSION, CLASSES).axes[0]
    cells = {
        (round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts
    }
    assert cells == {(0, 0): "5", (0, 1): "1", (1, 1): "4", (1, 2): "2"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_forty_long_names_do_not_overlap() -> None:
    names = [f"a rather long name of class {i}" for i in range(40)]
    figure = plots.confusion_matrix(np.eye(40, dtype=int), names)
    figure.savefig(io.BytesIO())  # lays it out
    axes = figure.axes[0]
    for labels, across in ((axes.get_yticklabels(), "y"), (axes.get_xticklabels(), "x")):
        boxes = sorted(
            (getattr(box, f"{across}0"), getattr(box, f"{across}1"))
            for box in (label.get_window_extent() for label in labels)
        )
        assert len({label.get_text() for label in labels}) == 40
        assert all(one[1] <= next_[0] + 1 for one, next_ in itertools.pairwise(boxes))
    figure = plots.misclassified(RNG.random((7, 1, 4, 4)), [12] * 7, [31] * 7, names)
    figure.savefig(io.BytesIO())
    boxes = sorted((axes.title.get_window_extent() for axes in figure.axes[:4]), key=lambda b: b.x0)
    assert all(one.x1 <= next_.x0 for one, next_ in itertools.pairwise(boxes))


def test_misclassified_names_both_classes() -> None:
    figure = plots.misclassified(RNG.random((1, 1, 4, 4)), [2], [0], CLASSES)
    assert figure.axes[0].get_title() == "cat\nnot ship"


def test_the_moving_average_starts_at_the_first_value_and_skips_nan() -> None:
    assert np.allclose(plots.smooth([4.0, 4.0, 4.0]), 4.0)
    assert np.allclose(plots.smooth([1.0, 2.0], 0.5), [1.0, 5 / 3])
    values = plots.smooth([np.nan, 1.0, np.inf, 1.0])
    assert np.isnan(values[0])
    assert np.allclose(values[1:], 1.0)


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys; from convkit.report import plots; "
        "plots.png_bytes(plots.loss_curve([1.0])); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_of_5000_classes_the_worst_are_shown() -> None:
    """A text for each of them would take minutes, and a picture beyond what PNG holds."""
    confusion = np.zeros((5000, 5000), np.int64)
    np.fill_diagonal(confusion, 4)
    confusion[4321, 4321], confusion[4321, 7] = 1, 3
    confusion[9, 9] = 0  # no images
    names = [f"class {i}" for i in range(5000)]
    bars = plots.class_accuracy(confusion, names)
    (axes,) = bars.axes
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert len(shown) == plots.MOST_CLASSES
    assert "class 4321" in shown
    assert "class 9" not in shown
    assert "25% of 4" in [text.get_text() for text in axes.texts]
    matrix = plots.confusion_matrix(confusion, names)
    assert len(matrix.axes[0].get_xticks()) < 20
    for figure in (bars, matrix):
        assert plots.png_bytes(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [50, 51])
def test_names_stay_up_to_the_limit(count: int) -> None:
    names = [f"class {i}" for i in range(count)]
    matrix = plots.confusion_matrix(np.eye(count, dtype=np.int64), names)
    shown = [text.get_text() for text in matrix.axes[0].get_yticklabels()]
    assert (shown == names) == (count == 50)
