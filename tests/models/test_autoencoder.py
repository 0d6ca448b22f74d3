"""The autoencoder: shapes there and back, gradients, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError, ShapeError
from convkit.gradcheck import gradcheck
from convkit.models import ConvAutoencoder
from convkit.training.optim import UPDATE_RULES


def test_images_come_out_as_large_as_they_went_in():
    net = ConvAutoencoder((3, 8, 12), (4, 5), rng=0)
    assert [place.out_shape for place in net.places] == [
        (4, 4, 6), (4, 4, 6), (5, 2, 3), (5, 2, 3), (4, 4, 6), (4, 4, 6), (3, 8, 12)
    ]  # fmt: skip
    assert list(net.params) == [f"{name}{i}" for i in range(1, 5) for name in "Wb"]


def test_gradients(backend):
    net = ConvAutoencoder((2, 4, 8), (3, 4), reg=0.1, dtype=np.float64, rng=1, backend=backend)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 2, 4, 8))
    for name in ("b1", "b2", "b3"):  # with biases of 0 some pixels are at relu's kink
        net.params[name] = rng.standard_normal(net.params[name].shape)
    loss, grads = net.loss(X, X)
    assert loss > ((net.loss(X) - X) ** 2).mean()
    for name, w in net.params.items():
        report = gradcheck(lambda _: net.loss(X, X)[0], w, grads[name], h=1e-5, floor=1e-3)
        assert report.error < 1e-6, name


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    theirs = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(5, 4, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1),
    ).double()  # fmt: skip
    net = ConvAutoencoder((3, 8, 12), (4, 5), dtype=np.float64, rng=0)
    parameters = dict(zip(net.params, theirs.parameters(), strict=True))
    for name, parameter in parameters.items():
        net.params[name] = parameter.detach().numpy().copy()
    X = np.random.default_rng(0).standard_normal((2, 3, 8, 12))
    loss, grads = net.loss(X, X)
    expected = nn.functional.mse_loss(theirs(torch.tensor(X)), torch.tensor(X))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, parameter in parameters.items():
        np.testing.assert_allclose(grads[name], parameter.grad, rtol=1e-9, atol=1e-13)


def test_it_learns_to_give_images_back():
    net = ConvAutoencoder((1, 8, 8), (8, 16), rng=0)
    t = np.linspace(0, 3, 8)
    phases = np.random.default_rng(0).uniform(0, 6, (40, 1, 1, 1))
    X = np.sin(t[:, None] + t + phases)
    configs = {name: {"learning_rate": 5e-3} for name in net.params}
    first = net.loss(X, X)[0]
    for _ in range(60):
        _, grads = net.loss(X, X)
        for name, w in net.params.items():
            net.params[name], configs[name] = UPDATE_RULES["adam"](w, grads[name], configs[name])
    assert net.loss(X, X)[0] < first / 10


def test_arguments_are_checked():
    with pytest.raises(ParameterError, match=r"^input_dim \(=\(3, 32, 30\)\) must have a height"):
        ConvAutoencoder((3, 32, 30))
    with pytest.raises(ParameterError, match=r"at least one$"):
        ConvAutoencoder((3, 32, 32), ())
    with pytest.raises(ShapeError, match=r"must be at least 4 pixels high and wide"):
        ConvAutoencoder((3, 2, 8))
