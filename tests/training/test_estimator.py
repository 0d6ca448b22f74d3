"""The estimators do what scikit-learn asks of its own, with pictures too."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

from convkit import ConvkitError

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from convkit import training  # noqa: E402
from convkit.models import BatchNorm, Conv, GlobalAvgPool, ReLU, load  # noqa: E402
from convkit.training import ConvNetClassifier, ConvNetRegressor  # noqa: E402

IMAGE = (1, 8, 8)


def digits(n=300):
    X, y = load_digits(return_X_y=True)
    return X[:n], y[:n]


def small(**options):
    return ConvNetClassifier(
        image_shape=IMAGE, num_filters=4, hidden_dim=16, random_state=0, **options
    )


@pytest.mark.parametrize("kind", [ConvNetClassifier, ConvNetRegressor])
def test_scikit_learn_s_own_checks_pass(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(kind(), on_fail=None, on_skip=None)
    assert len(found) > 40
    assert {r["check_name"]: r["exception"] for r in found if r["status"] == "failed"} == {}
    skipped = {r["check_name"] for r in found if r["status"] == "skipped"}
    assert all(name.endswith(("array_api_input", "data_not_an_array")) for name in skipped)


def test_digits_are_learned_in_a_pipeline_and_by_cross_validation():
    X, y = digits()
    pipeline = make_pipeline(StandardScaler(), small(epochs=8, learning_rate=0.01))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.85


def test_a_grid_is_searched_in_two_processes():
    X, y = digits()
    search = GridSearchCV(small(epochs=6), {"learning_rate": [1e-6, 0.01]}, cv=2, n_jobs=2)
    search.fit(X, y)
    assert search.best_params_ == {"learning_rate": 0.01}
    assert search.best_score_ > 0.7


def test_a_pickle_predicts_the_same_bits_and_goes_on():
    X, y = digits(100)
    first = small(epochs=2, warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X), strict=True)
    np.testing.assert_array_equal(
        again.fit(X, y).predict_proba(X), first.fit(X, y).predict_proba(X), strict=True
    )


FORMS = {
    "rows": lambda x: x.reshape(len(x), -1),
    "channels first": lambda x: x,
    "channels last": lambda x: np.moveaxis(x, 1, -1),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_images_come_as_rows_or_in_either_layout(form):
    x = np.random.default_rng(0).integers(0, 256, (30, 3, 4, 5)).astype(np.uint8)
    y = np.array(["dark", "light"])[(x.mean((1, 2, 3)) > 127).astype(int)]
    expected = ConvNetClassifier(epochs=2, random_state=0).fit(x, y)
    found = ConvNetClassifier(image_shape=(3, 4, 5), epochs=2, random_state=0).fit(form(x), y)
    np.testing.assert_array_equal(
        found.predict_proba(form(x)), expected.predict_proba(x), strict=True
    )
    assert expected.network_.dtype == np.float32
    assert found.classes_.tolist() == ["dark", "light"]


def test_rows_without_a_shape_are_pixels_of_their_own():
    X, y = digits(60)
    fitted = ConvNetClassifier(epochs=1, random_state=0).fit(X, y)
    assert fitted.network_.input_dim == (64, 1, 1)
    assert fitted.network_.dtype == np.float64
    assert ConvNetClassifier(epochs=1).fit(X.astype(np.float32), y).network_.dtype == np.float32
    assert ConvNetClassifier(epochs=1, dtype="float32").fit(X, y).network_.dtype == np.float32


def test_the_network_is_kept_with_all_it_needs(tmp_path):
    X, y = digits(100)
    fitted = small(epochs=2).fit(X, y)
    fitted.network_.save(tmp_path / "a")
    again = load(tmp_path / "a")
    np.testing.assert_array_equal(
        again.predict_proba(X.reshape(-1, *IMAGE)), fitted.predict_proba(X), strict=True
    )
    assert again.class_names == tuple("0123456789")


def test_layers_of_one_s_own():
    X, y = digits(100)
    layers = [Conv(4, 3), BatchNorm(), ReLU(), GlobalAvgPool()]
    fitted = clone(ConvNetClassifier(layers, image_shape=IMAGE, epochs=1, reg=0.1)).fit(X, y)
    assert [type(layer).__name__ for layer in fitted.network_.layers] == [
        "Conv", "BatchNorm", "ReLU", "GlobalAvgPool", "Affine",
    ]  # fmt: skip
    assert fitted.network_.reg == 0.1


def test_a_seed_makes_it_repeatable_and_a_warm_start_goes_on():
    X, y = digits(100)
    first, same = (small(epochs=4).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), same.predict_proba(X))
    warm = small(epochs=2, warm_start=True).fit(X, y).fit(X, y)
    assert warm.loss_curve_ == first.loss_curve_
    assert len(small(epochs=2).fit(X, y).fit(X, y).loss_curve_) == 2
    with pytest.raises(ValueError, match=r"y must hold the classes \[0, .*\], found 10"):
        warm.fit(X, y + 2)


def test_partial_fit_is_an_epoch_and_knows_its_classes_from_the_first_call():
    X, y = digits(200)
    whole = small(epochs=3).fit(X, y)
    parts = small()
    for _ in range(3):
        parts.partial_fit(X, y, classes=range(10))
    assert parts.loss_curve_ == whole.loss_curve_
    few = small().partial_fit(X[y < 3], y[y < 3], classes=range(10))
    assert few.predict_proba(X).shape == (200, 10)
    few.partial_fit(X, y)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(X, y)
    with pytest.raises(ValueError, match="must be those of the first call"):
        few.partial_fit(X, y, classes=range(11))
    with pytest.raises(ValueError, match=r"class_weight \(='balanced'\) needs all of y"):
        small(class_weight="balanced").partial_fit(X, y, classes=range(10))


def test_class_weights_move_the_border():
    rng = np.random.default_rng(0)
    y = (np.arange(400) >= 360).astype(int)
    X = rng.standard_normal((400, 2)) + y[:, None]
    share = {}
    for name, weight in (("none", None), ("balanced", "balanced"), ("given", {1: 50})):
        fitted = ConvNetClassifier(epochs=5, class_weight=weight, random_state=0).fit(X, y)
        share[name] = fitted.predict(X).mean()
        assert fitted.network_.loss_function.__name__ == "softmax_loss"
    assert share["none"] < 0.1 < share["balanced"] < share["given"]


def test_what_does_not_fit_is_said():
    X, y = digits(60)
    fitted = small(epochs=1).fit(X, y)
    with pytest.raises(NotFittedError):
        small().predict(X)
    with pytest.raises(ValueError, match=r"X \(shape \(60, 63\)\) must be .* image_shape"):
        small().fit(X[:, :63], y)
    with pytest.raises(ValueError, match=r"X \(shape \(60, 8, 8\)\) must be \(N, F\) or"):
        ConvNetClassifier().fit(X.reshape(-1, 8, 8), y)
    flexible = ConvNetClassifier(epochs=1).fit(X.reshape(-1, *IMAGE), y)
    with pytest.raises(ValueError, match=r"must hold examples of shape \(1, 8, 8\), as in fit"):
        flexible.predict(np.zeros((2, 1, 9, 9)))
    with pytest.raises(ValueError, match=r"epochs \(=0\) must be an integer of at least 1"):
        small(epochs=0).fit(X, y)
    assert fitted.predict(X[:1]).shape == (1,)


def test_training_that_diverges_warns_and_ends():
    X, y = digits(60)
    X = X.astype(np.float32)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d and was ended"):
        fitted = small(update_rule="sgd", learning_rate=1e37, epochs=9).fit(X, y)
    assert len(fitted.loss_curve_) < 9


def test_a_regressor_learns_several_numbers():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    Y = np.stack([X[:, 0] * 100 + 1000, X[:, 1] ** 2], axis=1)
    fitted = ConvNetRegressor(epochs=40, learning_rate=5e-3, random_state=0).fit(X, Y)
    assert fitted.score(X, Y) > 0.9
    assert fitted.predict(X).shape == (300, 2)
    assert fitted.fit(X, Y[:, 0]).predict(X).shape == (300,)


def test_it_is_loaded_when_it_is_asked_for():
    code = (
        "import sys; from convkit import training; assert 'sklearn' not in sys.modules; "
        "assert 'ConvNetClassifier' in dir(training); training.ConvNetClassifier"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'ConvNet'"):
        _ = training.ConvNet


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConvkitError, match=r"ConvNetClassifier needs the module 'sklearn'"):
        _ = training.ConvNetClassifier
