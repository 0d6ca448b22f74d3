# %% [markdown]
# # Convolutional networks, the whole way
#
# From one convolution worked out by hand to a trained network with its filters as pictures. Run it
# as a script, or cell by cell in an editor that knows `# %%` cells. It needs the `train` extra and
# downloads nothing.
#
# Set `CONVKIT_BACKEND=naive` before starting it to feel what the fast backends are worth.

# %%
from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import numpy as np

import convkit
from convkit.gradcheck import eval_numerical_gradient, eval_numerical_gradient_array, rel_error
from convkit.models import ThreeLayerConvNet
from convkit.training.data import load_data
from convkit.training.solver import Solver

rng = np.random.default_rng(231)

# %% [markdown]
# ## Convolution: forward
#
# A convolution slides each filter over the image and takes a dot product at every place. Two images
# of three channels, three filters of 4x4, every second place, one pixel of padding around.

# %%
x = np.linspace(-0.1, 0.5, num=2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
w = np.linspace(-0.2, 0.3, num=3 * 3 * 4 * 4).reshape(3, 3, 4, 4)
b = np.linspace(-0.1, 0.2, num=3)
out, _ = convkit.conv_forward(x, w, b, {"stride": 2, "pad": 1})
print("out.shape:", out.shape)

# The same number by the definition, at one place: image 1, filter 2, row 0, column 1. The window
# starts at row 0 * 2 - 1, so its first row is padding, which adds nothing.
by_hand = b[2] + np.sum(w[2, :, 1:, :3] * x[1, :, :3, 1:])
print("by the definition:", by_hand, "by the layer:", out[1, 2, 0, 1])
assert np.isclose(by_hand, out[1, 2, 0, 1])

# %% [markdown]
# ## What a convolution can do to an image
#
# Filters need not be learned. This one keeps the vertical edges of a digit: the difference of the
# columns to the left and to the right, Sobel's filter.

# %%
data = load_data("digits")
digit = data["X_train"][:1].astype(np.float64)
sobel = np.array([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]])
edges = convkit.conv(digit, sobel, pad=1)
print(np.array2string(edges[0, 0], precision=1, suppress_small=True))

# %% [markdown]
# ## Convolution: backward
#
# The gradients of a sum are sums of gradients. Numerical ones, by nudging every number up and down,
# tell whether we got them right; errors should be around 1e-8 or less.

# %%
x, w, b = (rng.standard_normal(shape) for shape in ((4, 3, 5, 5), (2, 3, 3, 3), (2,)))
dout = rng.standard_normal((4, 2, 5, 5))
conv_param = {"stride": 1, "pad": 1}
out, cache = convkit.conv_forward(x, w, b, conv_param)
dx, dw, db = convkit.conv_backward(dout, cache)


def layer(*_: np.ndarray) -> np.ndarray:
    """The layer as a function of arrays that are changed in place."""
    return convkit.conv_forward(x, w, b, conv_param)[0]


for name, array, gradient in (("dx", x, dx), ("dw", w, dw), ("db", b, db)):
    error = rel_error(gradient, eval_numerical_gradient_array(layer, array, dout))
    print(f"{name} error: {error:.2e}")
    assert error < 1e-7

# %% [markdown]
# ## Max pooling
#
# Each window passes on its largest value, and on the way back the gradient goes where it came from.

# %%
x = rng.standard_normal((3, 2, 8, 8))
dout = rng.standard_normal((3, 2, 4, 4))
pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
out, cache = convkit.max_pool_forward(x, pool_param)
dx = convkit.max_pool_backward(dout, cache)
numerical = eval_numerical_gradient_array(
    lambda x: convkit.max_pool_forward(x, pool_param)[0], x, dout
)
print(f"dx error: {rel_error(dx, numerical):.2e}")

# %% [markdown]
# ## The same layers, faster
#
# Every backend gives the same answers. What differs is the time.

# %%
x, w, b = (
    rng.standard_normal((2, 3, 31, 31)),
    rng.standard_normal((25, 3, 3, 3)),
    rng.standard_normal(25),
)
times, outs = {}, {}
for backend in ("naive", "im2col_numpy", "cython"):
    try:
        convkit.conv(x, w, b, stride=2, pad=1, backend=backend)  # warm up
    except convkit.BackendLoadError as error:
        print(error)
        continue
    start = perf_counter()
    outs[backend] = convkit.conv(x, w, b, stride=2, pad=1, backend=backend)
    times[backend] = perf_counter() - start
for backend, seconds in times.items():
    print(
        f"{backend:>14}: {seconds * 1e3:9.3f} ms  speedup {times['naive'] / seconds:6.0f}x  "
        f"difference {rel_error(outs['naive'], outs[backend]):.1e}"
    )

# %% [markdown]
# ## A three-layer network: is the loss sane?
#
# conv - relu - 2x2 max pool - affine - relu - affine - softmax. With tiny random weights the ten
# classes are equally likely, and the loss is log(10) = 2.3026. Regularisation adds to it.

# %%
X, y = rng.standard_normal((50, 3, 32, 32)), rng.integers(10, size=50)
model = ThreeLayerConvNet(rng=231)
print("initial loss, no regularisation:", model.loss(X.astype(np.float32), y)[0])
model.reg = 0.5
print("initial loss, reg = 0.5:", model.loss(X.astype(np.float32), y)[0])

# %% [markdown]
# ## Are its gradients right?

# %%
X, y = rng.standard_normal((2, 3, 16, 16)), rng.integers(10, size=2)
model = ThreeLayerConvNet(
    input_dim=(3, 16, 16), num_filters=3, filter_size=3, hidden_dim=7,
    weight_scale=0.1, dtype=np.float64, rng=231,
)  # fmt: skip
loss, grads = model.loss(X, y)
for name in ("b1", "b2", "W3", "b3", "W1"):
    numerical = eval_numerical_gradient(
        lambda _: model.loss(X, y)[0], model.params[name], verbose=False, h=1e-6
    )
    print(f"{name} max relative error: {rel_error(numerical, grads[name]):.1e}")

# %% [markdown]
# ## Train it
#
# First a sanity check: a network that cannot learn fifty images by heart has a bug. Then for real.

# %%
small = {**data, "X_train": data["X_train"][:50], "y_train": data["y_train"][:50]}
shape = data["X_train"].shape[1:]
model = ThreeLayerConvNet(shape, filter_size=3, weight_scale=1e-2, rng=231)
solver = Solver(
    model, small, update_rule="adam", optim_config={"learning_rate": 5e-3},
    num_epochs=15, batch_size=25, verbose=False, rng=231,
)  # fmt: skip
solver.train()
print(
    f"fifty images: training accuracy {solver.train_acc_history[-1]:.2f}, "
    f"validation accuracy {solver.val_acc_history[-1]:.2f}"
)

# %%
model = ThreeLayerConvNet(shape, filter_size=3, weight_scale=1e-2, reg=1e-3, rng=231)
solver = Solver(
    model, data, update_rule="adam", optim_config={"learning_rate": 2e-3},
    num_epochs=5, batch_size=50, print_every=50, rng=231,
)  # fmt: skip
solver.train()
print(f"test accuracy: {solver.check_accuracy(data['X_test'], data['y_test']):.3f}")

# %% [markdown]
# ## What did the first layer learn?

# %%
from convkit.report.plots import filters, save  # noqa: E402

target = Path(sys.argv[1] if len(sys.argv) > 1 else "filters.png")
save(filters(model.params["W1"]), target)
print("filters:", target)
