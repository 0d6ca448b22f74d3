"""The rows of the CS231n assignment on convolutional networks, one named test for each.

Figures are those the course prints. The row on CIFAR-10 needs images: a folder that holds
``cifar-10-batches-bin`` is named by CONVKIT_TEST_DATA, or lies beside the repository as
``shared/data``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import convkit
from convkit.gradcheck import eval_numerical_gradient, eval_numerical_gradient_array, rel_error
from convkit.models import ThreeLayerConvNet
from convkit.training.data.cifar10 import get_CIFAR10_data
from convkit.training.solver import Solver


def test_convolution_known_answer(backend):
    x = np.linspace(-0.1, 0.5, num=2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    w = np.linspace(-0.2, 0.3, num=3 * 3 * 4 * 4).reshape(3, 3, 4, 4)
    b = np.linspace(-0.1, 0.2, num=3)
    out, _ = convkit.conv_forward(x, w, b, {"stride": 2, "pad": 1}, backend=backend)
    printed = np.array(
        [
            [
                [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
                [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
                [[0.50813986, 0.54309974], [0.64082444, 0.67101435]],
            ],
            [
                [[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
                [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
                [[2.36270298, 2.36904306], [2.38090835, 2.38247847]],
            ],
        ]
    )
    assert rel_error(out, printed) < 3e-8  # the print's rounding


def test_convolution_gradients(backend):
    rng = np.random.default_rng(231)
    x, w, b = (rng.standard_normal(shape) for shape in ((4, 3, 5, 5), (2, 3, 3, 3), (2,)))
    dout = rng.standard_normal((4, 2, 5, 5))
    param = {"stride": 1, "pad": 1}

    def forward(_):
        return convkit.conv_forward(x, w, b, param, backend=backend)[0]

    _, cache = convkit.conv_forward(x, w, b, param, backend=backend)
    for array, analytic in zip((x, w, b), convkit.conv_backward(dout, cache), strict=True):
        # The convolution is linear in each: a step of 1 has no truncation error.
        assert rel_error(analytic, eval_numerical_gradient_array(forward, array, dout, 1.0)) < 1e-8
        numerical = eval_numerical_gradient_array(forward, array, dout)
        assert rel_error(analytic, numerical) < 1e-6


def test_max_pooling_known_answer(backend):
    x = np.linspace(-0.3, 0.4, num=2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    param = {"pool_width": 2, "pool_height": 2, "stride": 2}
    out, _ = convkit.max_pool_forward(x, param, backend=backend)
    assert rel_error(out[0, 0], [[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]]) < 3e-8
    assert rel_error(out[1, 2], [[0.32631579, 0.34105263], [0.38526316, 0.4]]) < 3e-8


def test_max_pooling_gradient(backend):
    rng = np.random.default_rng(231)
    x, dout = rng.standard_normal((3, 2, 8, 8)), rng.standard_normal((3, 2, 4, 4))
    param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    _, cache = convkit.max_pool_forward(x, param, backend=backend)
    numerical = eval_numerical_gradient_array(
        lambda x: convkit.max_pool_forward(x, param, backend=backend)[0], x, dout
    )
    assert rel_error(convkit.max_pool_backward(dout, cache), numerical) < 1e-8


def test_backends_agree_on_the_course_s_workloads(backend):
    """The course's images and filters, fewer of them: the loops take seconds for 100."""
    rng = np.random.default_rng(231)
    x, w, b = (rng.standard_normal(shape) for shape in ((4, 3, 31, 31), (25, 3, 3, 3), (25,)))
    pool_x = rng.standard_normal((4, 3, 32, 32))
    conv, pool = {"stride": 2, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}
    results = []
    for name in ("naive", backend):
        with convkit.use_backend(name):
            out, cache = convkit.conv_forward(x, w, b, conv)
            pooled, pool_cache = convkit.max_pool_forward(pool_x, pool)
            results.append(
                (
                    out,
                    *convkit.conv_backward(np.sin(out), cache),
                    pooled,
                    convkit.max_pool_backward(np.cos(pooled), pool_cache),
                )
            )
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_initial_loss_is_that_of_chance():
    rng = np.random.default_rng(231)
    X, y = rng.standard_normal((50, 3, 32, 32)), rng.integers(10, size=50)
    model = ThreeLayerConvNet(rng=0)
    assert model.loss(X, y)[0] == pytest.approx(2.3026, abs=1e-3)
    model.reg = 0.5
    assert model.loss(X, y)[0] == pytest.approx(2.51, abs=5e-3)


def test_gradients_of_the_three_layer_network():
    rng = np.random.default_rng(231)
    X, y = rng.standard_normal((2, 3, 16, 16)), rng.integers(10, size=2)
    model = ThreeLayerConvNet(
        input_dim=(3, 16, 16), num_filters=3, filter_size=3, hidden_dim=7, dtype=np.float64, rng=0
    )
    _, grads = model.loss(X, y)
    # The loss's rounding is 1e-16 / h: with the initial weights of 1e-3 gradients of the early
    # layers are 1e-6 and smaller, so a relative error of 1e-2 is what differences can tell.
    for name, w in model.params.items():
        numerical = eval_numerical_gradient(lambda _: model.loss(X, y)[0], w, verbose=False, h=1e-6)
        assert rel_error(grads[name], numerical) < 1e-2, name
        assert np.abs(grads[name] - numerical).max() < 1e-9, name


# --- training on CIFAR-10 ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cifar10():
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CONVKIT_TEST_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no CIFAR-10 images: {folder} is no folder; set CONVKIT_TEST_DATA")
    return get_CIFAR10_data(data_dir=folder)


def test_overfitting_100_images(cifar10, capsys):
    data = {
        "X_train": cifar10["X_train"][:100],
        "y_train": cifar10["y_train"][:100],
        "X_val": cifar10["X_val"],
        "y_val": cifar10["y_val"],
    }
    solver = Solver(
        ThreeLayerConvNet(weight_scale=1e-2, rng=0),
        data,
        num_epochs=15,
        batch_size=50,
        update_rule="adam",
        optim_config={"learning_rate": 1e-3},
        num_val_samples=100,
        print_every=1,
        rng=0,
    )
    solver.train()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\(Iteration 1 / 30\) loss: \d\.\d{6}", lines[0])
    line = r"\(Epoch 0 / 15, iteration 1 / 30\) train acc: 0\.\d{6}; val_acc: 0\.\d{6}"
    assert re.fullmatch(line, lines[1])
    assert solver.train_acc_history[-1] >= 0.90
    assert solver.val_acc_history[-1] < 0.5


@pytest.mark.slow
def test_one_epoch_s_iterations_on_a_subset(cifar10):
    solver = Solver(
        ThreeLayerConvNet(weight_scale=1e-3, hidden_dim=100, reg=1e-3, rng=0),
        cifar10,
        num_iterations=245,  # of 200 images: one epoch over all 49,000
        batch_size=200,
        update_rule="adam",
        optim_config={"learning_rate": 1e-3},
        num_train_samples=200,
        num_val_samples=None,  # the weights kept are the best on these; 200 are too few to tell
        verbose=False,
        rng=0,
    )
    solver.train()
    assert solver.check_accuracy(cifar10["X_train"], cifar10["y_train"], 2000) > 0.55
    assert solver.check_accuracy(cifar10["X_test"], cifar10["y_test"]) > 0.42
