"""Prediction from raw images in every form, and what a shape or a value that does not fit says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convkit import DataError, DtypeError, ParameterError, ShapeError, layers
from convkit.models import (
    Affine,
    ConvAutoencoder,
    FullyConnectedNet,
    Sequential,
    ThreeLayerConvNet,
    prediction,
)
from convkit.preprocessing import Preprocessing

SHAPE = (3, 6, 8)


def network(shape=SHAPE, white=255.0, **options):
    net = ThreeLayerConvNet(shape, 4, 3, 5, 4, weight_scale=0.5, rng=2, **options)
    net.preprocessing = Preprocessing(shape, 2 / white, np.ones((shape[0], 1, 1)), white)
    net.class_names = ("ant", "bee", "cat", "dog")
    return net


def raw(n=7, shape=SHAPE, seed=1):
    rng = np.random.default_rng(seed)
    light = rng.random((n, shape[0], *[1] * len(shape[1:])))  # what the labels differ by
    return (rng.integers(0, 256, (n, *shape)) * light).astype(np.uint8)


def expected(net, x):
    return net.loss(net.preprocessing.apply(x)).argmax(1)


def test_labels_are_those_of_the_highest_scores():
    net, x = network(), raw()
    found = net.predict(x)
    assert found.dtype == np.intp
    np.testing.assert_array_equal(found, expected(net, x), strict=True)
    assert len(set(found)) > 1
    np.testing.assert_array_equal(net.predict(net.preprocessing.apply(x), prepared=True), found)


FORMS = {
    "channels last": lambda x: np.moveaxis(x, 1, -1),
    "floats on the same scale": lambda x: x.astype(np.float64),
    "a list": lambda x: x.tolist(),
    "a list of arrays": list,
    "a list of arrays, channels last": lambda x: list(np.moveaxis(x, 1, -1)),
    "big-endian": lambda x: x.astype(">u2"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_images_come_in_many_forms(form):
    net, x = network(), raw()
    np.testing.assert_array_equal(net.predict(form(x)), expected(net, x), strict=True)


ONE = {
    "channels first": lambda x: x[0],
    "channels last": lambda x: np.moveaxis(x[0], 0, -1),
    "in a batch": lambda x: x[:1],
}


@pytest.mark.parametrize("form", ONE.values(), ids=ONE)
def test_one_image_is_a_batch_of_one(form):
    net, x = network(), raw()
    np.testing.assert_array_equal(net.predict(form(x)), expected(net, x)[:1], strict=True)
    assert net.predict_proba(form(x)).shape == (1, 4)


@pytest.mark.parametrize(
    "form", [lambda x: x[:, 0], lambda x: x[..., None][:, 0]], ids=["none", "last"]
)
def test_a_channel_alone_may_be_left_out(form):
    net, x = network((1, 6, 8)), raw(shape=(1, 6, 8))
    np.testing.assert_array_equal(net.predict(form(x)), expected(net, x), strict=True)
    np.testing.assert_array_equal(net.predict(form(x)[2]), expected(net, x)[2:3], strict=True)


def test_where_both_orders_fit_the_channels_are_first():
    net, x = network((3, 3, 3)), raw(shape=(3, 3, 3))
    np.testing.assert_array_equal(net.predict(x), expected(net, x), strict=True)


def test_no_image_has_no_label():
    net = network()
    assert net.predict(raw(0)).shape == (0,)
    assert net.predict_proba(raw(0)).shape == (0, 4)


def test_a_network_of_vectors_takes_the_images_it_was_trained_on():
    net = FullyConnectedNet((5,), SHAPE, 4, weight_scale=None, rng=0)
    net.preprocessing = Preprocessing(SHAPE, 1 / 255, 0.5, 255)
    x = raw()
    np.testing.assert_array_equal(net.predict(np.moveaxis(x, 1, -1)), expected(net, x))
    flat = net.preprocessing.apply(x).reshape(7, -1)
    np.testing.assert_array_equal(net.predict(flat, prepared=True), expected(net, x))
    np.testing.assert_array_equal(net.predict(flat[0], prepared=True), expected(net, x)[:1])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((7, 3, 6, 9), "(N, 3, 6, 8) or (N, 6, 8, 3)"),
        ((6, 8), "(N, 3, 6, 8) or (N, 6, 8, 3)"),
        ((), "(N, 3, 6, 8) or (N, 6, 8, 3)"),
        ((7, 1, 6, 8), "(N, 3, 6, 8) or (N, 6, 8, 3)"),
    ],
)
def test_a_shape_that_does_not_fit_says_what_was_expected(shape, message):
    with pytest.raises(ShapeError) as caught:
        network().predict(np.zeros(shape))
    assert str(caught.value) == (
        f"X.shape (={shape}) must be {message}, or that of one example without N"
    )


def test_a_grey_shape_names_the_form_without_a_channel_too():
    with pytest.raises(ShapeError, match=re.escape("(N, 1, 6, 8) or (N, 6, 8, 1) or (N, 6, 8),")):
        network((1, 6, 8)).predict(np.zeros((2, 3, 6, 8)))


def test_memory_is_that_of_a_batch(monkeypatch):
    net, x, sizes = network(), raw(25), []
    apply = Preprocessing.apply
    monkeypatch.setattr(
        Preprocessing, "apply", lambda self, raw: sizes.append(len(raw)) or apply(self, raw)
    )
    found = net.predict(x, batch_size=10)
    assert sizes == [10, 10, 5]
    np.testing.assert_array_equal(found, network().predict(x))
    sizes.clear()
    net.predict(np.moveaxis(x, 1, -1))
    assert max(sizes) <= prediction.BATCH
    with pytest.raises(ParameterError, match=r"batch_size \(=0\) must be an integer"):
        net.predict(x, batch_size=0)


def test_arrays_on_disk_are_read_batch_by_batch(tmp_path):
    class Slices:
        """What is asked for slices alone, as a file of arrays may be."""

        def __init__(self, x):
            self.x, self.shape, self.dtype = x, x.shape, x.dtype

        def __len__(self):
            return len(self.x)

        def __getitem__(self, key):
            assert isinstance(key, slice)
            assert key.stop - (key.start or 0) <= 4
            return self.x[key]

    net, x = network(), raw(10)
    np.testing.assert_array_equal(net.predict(Slices(x), batch_size=4), expected(net, x))


def save(path: Path, image: np.ndarray) -> Path:
    Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    Image.fromarray(np.moveaxis(image, 0, -1)).save(path)
    return path


def test_names_of_files_are_read_batch_by_batch(tmp_path):
    net, x = network(), raw(5)
    files = [save(tmp_path / f"{i}.png", image) for i, image in enumerate(x)]
    np.testing.assert_array_equal(net.predict(files, batch_size=2), expected(net, x), strict=True)
    np.testing.assert_array_equal(net.predict(str(files[3])), expected(net, x)[3:4], strict=True)
    np.testing.assert_array_equal(net.predict(np.array(files[:2], str)), expected(net, x)[:2])
    assert net.score(files, expected(net, x)) == 1


def test_files_are_scaled_as_the_training_images_were(tmp_path):
    sixteen = network(white=16.0)
    file = save(tmp_path / "a.png", raw(1)[0])
    np.testing.assert_allclose(
        sixteen.predict_proba(file), sixteen.predict_proba(raw(1) * (16 / 255)), rtol=1e-5
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'a.png'}: expected an image")):
        network().predict(tmp_path / "a.png")
    with pytest.raises(DataError, match="names of image files or arrays, not both; found ndarray"):
        network().predict(["a.png", np.zeros(SHAPE)])


def test_without_preprocessing_arrays_are_taken_as_they_are_and_files_are_refused():
    net, x = network(), raw().astype(np.float32)
    net.preprocessing = None
    np.testing.assert_array_equal(net.predict(x), net.loss(x).argmax(1))
    with pytest.raises(ParameterError, match=r"X \(='a.png'\) must be an array: without prepro"):
        net.predict("a.png")
    with pytest.raises(ParameterError, match="without preprocessing"):
        network().predict("a.png", prepared=True)


def test_the_scale_of_values_is_never_guessed():
    net, x = network(), raw()
    tenth = x / 255
    assert (net.predict(tenth) == expected(net, tenth)).all()
    with pytest.raises(DtypeError, match="where white is 65535: multiply it by 257"):
        network(white=65535.0).predict(x)
    with pytest.raises(ParameterError, match="where white is 1: multiply it by 1/255"):
        network(white=1.0).predict(x)
    with pytest.raises(ParameterError, match="where white is 255: multiply it by 255/65535"):
        network().predict(x.astype(np.uint16) * 257)
    with pytest.raises(DtypeError, match=r"X \(dtype complex128\) must hold numbers"):
        network().predict(x * 1j)


def test_probabilities_are_the_softmax_of_the_scores():
    net, x = network(dtype=np.float64), raw()
    scores = net.loss(net.preprocessing.apply(x))
    found = net.predict_proba(x, batch_size=3)
    np.testing.assert_allclose(found, np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
    assert found.dtype == np.float64
    net.params["b3"] = net.params["b3"] + 1e4  # what overflows as an exponential
    np.testing.assert_allclose(net.predict_proba(x), found)


def test_the_score_is_the_share_of_right_labels():
    net, x = network(), raw(8)
    labels = expected(net, x)
    wrong = labels.copy()
    wrong[:2] = (wrong[:2] + 1) % 4
    assert net.score(x, labels) == 1
    assert net.score(x, wrong) == 0.75
    assert net.score(x, wrong[:, None]) == 0.75
    assert net.score(x, [net.class_names[label] for label in wrong]) == 0.75
    assert net.score(x[0], labels[0]) == 1
    prepared = net.preprocessing.apply(x)
    assert net.score(prepared, wrong, prepared=True) == 0.75


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (np.zeros(7), ShapeError, r"y \(shape \(7,\)\) must be one label for each of the 8 images"),
        (np.zeros((8, 2)), ShapeError, r"y \(shape \(8, 2\)\) must be one label"),
        (["ant"] * 7 + ["elk"], DataError, "y must hold classes of the network, found 'elk'"),
        ([None] * 8, DtypeError, r"y \(dtype object\) must hold numbers or names"),
    ],
)
def test_labels_that_do_not_fit(y, error, message):
    with pytest.raises(error, match=message):
        network().score(raw(8), y)


def test_there_is_no_score_of_no_image():
    with pytest.raises(ShapeError, match="at least 1"):
        network().score(raw(0), [])


def test_networks_without_scores_of_classes_say_so():
    with pytest.raises(ParameterError, match=r"score for each class, but .* \(3, 8, 8\); use loss"):
        ConvAutoencoder((3, 8, 8), (4,)).predict(raw(1, (3, 8, 8)))
    net = Sequential([Affine(3)], input_dim=(4,), loss=layers.svm_loss, rng=0)
    assert net.predict(np.ones(4)).shape == (1,)
    with pytest.raises(ParameterError, match=r"with softmax_loss.*, not svm_loss; use predict"):
        net.predict_proba(np.ones(4))
