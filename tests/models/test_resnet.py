"""ResNet: its size, its blocks, its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from model_cases import worst_errors

import convkit
from convkit import ParameterError
from convkit.models import ResNet


def test_the_default_is_resnet_20():
    net = ResNet(rng=0)
    weights = [name for name in net.params if name.startswith("W")]
    assert len(weights) == 20 + 2  # and the two shortcuts' 1x1 convolutions
    stem, stages, head = 3 * 16 * 9, 0, 64 * 10 + 10
    for stage, f in enumerate((16, 32, 64)):
        before = f // 2 if stage else f
        stages += 9 * f * (before + 5 * f) + (before * f if stage else 0)
    norms = 2 * sum(net.params[f"gamma{i}"].size for i in range(1, 22))
    assert sum(w.size for w in net.params.values()) == stem + stages + head + norms
    assert net.params["W22"].shape == (64, 10)
    shapes = [place.out_shape for place in net.places]
    assert shapes[2:13:3] == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert not any(
        name.startswith("b") and name[1:].isdigit() for name in net.params if name != "b22"
    )


def test_gradients(backend):
    net = ResNet(
        (2, 6, 5), 3, stage_blocks=(1, 1), stage_filters=(2, 3), dtype=np.float64, reg=0.1, rng=1,
        backend=backend,
    )  # fmt: skip
    assert max(worst_errors(net).values()) < 1e-5


def test_scores_by_the_layer_functions():
    net = ResNet((2, 6, 6), 3, stage_blocks=(1, 1), stage_filters=(2, 4), dtype="f8", rng=1)
    p = net.params
    x = X = np.random.default_rng(0).standard_normal((2, 2, 6, 6))

    def conv_norm(x, i, stride=1):
        z = convkit.conv(x, p[f"W{i}"], stride=stride, pad=p[f"W{i}"].shape[-1] // 2)
        still = {name: net.buffers[f"{name}{i}"] for name in ("running_mean", "running_var")}
        return convkit.batch_norm(z, p[f"gamma{i}"], p[f"beta{i}"], **still)

    def relu(x):
        return np.maximum(x, 0)

    x = relu(conv_norm(x, 1))
    x = relu(conv_norm(relu(conv_norm(x, 2)), 3) + x)
    x = relu(conv_norm(relu(conv_norm(x, 4, 2)), 5) + conv_norm(x, 6, 2))
    scores = x.mean(axis=(2, 3)) @ p["W7"] + p["b7"]
    np.testing.assert_allclose(net.loss(X), scores, rtol=1e-10, atol=1e-12)


def test_pytorch_agrees():
    """Loss, every gradient, running statistics and scores of the same network in PyTorch."""
    torch = pytest.importorskip("torch")
    nn, functions = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, c, f, stride):
            super().__init__()
            self.c1, self.b1 = nn.Conv2d(c, f, 3, stride, 1, bias=False), nn.BatchNorm2d(f)
            self.c2, self.b2 = nn.Conv2d(f, f, 3, 1, 1, bias=False), nn.BatchNorm2d(f)
            self.side = nn.Sequential()
            if stride > 1:
                self.side = nn.Sequential(nn.Conv2d(c, f, 1, stride, bias=False), nn.BatchNorm2d(f))

        def forward(self, x):
            out = self.b2(self.c2(functions.relu(self.b1(self.c1(x)))))
            return functions.relu(out + self.side(x))

    theirs = nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        Block(4, 4, 1), Block(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    ).double()  # fmt: skip
    net = ResNet((3, 7, 8), 5, (1, 1), (4, 6), dtype=np.float64, rng=0)
    # BatchNorm2d moves its variance by the unbiased one; ours is the course's.
    norms = [m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)]
    parameters = dict(zip(net.params, theirs.parameters(), strict=True))
    rng = np.random.default_rng(0)
    for name, parameter in parameters.items():
        if not name.startswith("W"):
            net.params[name] = rng.uniform(0.5, 1.5, net.params[name].shape)
        w = net.params[name]
        parameter.data = torch.tensor(w.T.copy() if w.ndim == 2 else w)
    X, y = rng.standard_normal((6, 3, 7, 8)), rng.integers(5, size=6)
    loss, grads = net.loss(X, y)
    expected = functions.cross_entropy(theirs(torch.tensor(X)), torch.tensor(y))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, parameter in parameters.items():
        other = parameter.grad.numpy()
        other = other.T if other.ndim == 2 else other
        np.testing.assert_allclose(grads[name], other, rtol=1e-8, atol=1e-11)
    for i, norm in enumerate(norms, 1):
        np.testing.assert_allclose(net.buffers[f"running_mean{i}"], norm.running_mean, atol=1e-12)
        net.buffers[f"running_var{i}"] = norm.running_var.numpy()
    scores = theirs.eval()(torch.tensor(X)).detach()
    np.testing.assert_allclose(net.loss(X), scores, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(net.fused().loss(X), scores, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"stage_blocks": (1, 2), "stage_filters": (4,)},
        {"stage_blocks": (), "stage_filters": ()},
        {"stage_filters": (4, 0, 4)},
        {"num_classes": 0},
    ],
)
def test_arguments_are_checked(arguments):
    with pytest.raises(ParameterError):
        ResNet(**arguments)
