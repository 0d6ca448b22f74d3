"""The update rules: the course's printed figures, purity, dtype, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError
from convkit.gradcheck import rel_error
from convkit.training.optim import DEFAULTS, UPDATE_RULES, check_rule, clip_gradients, sgd, step


def grid(first, last):
    return np.linspace(first, last, num=20).reshape(4, 5)


W, DW = grid(-0.4, 0.6), grid(-0.6, 0.4)


def reference(rule, w, dw, state, t):
    """The formulas once more, element by element in Python floats."""
    lr = 1e-2 if rule not in ("adam", "adamw") else 1e-3
    if rule == "nesterov":
        v = 0.9 * state.get("velocity", 0) + dw
        return w - lr * (dw + 0.9 * v), {"velocity": v}
    if rule == "sgd":
        return w - lr * dw, {}
    if rule == "sgd_momentum":
        v = 0.9 * state.get("velocity", 0) - lr * dw
        return w + v, {"velocity": v}
    if rule == "rmsprop":
        s = 0.99 * state.get("cache", 0) + 0.01 * dw**2
        return w - lr * dw / (s**0.5 + 1e-8), {"cache": s}
    m = 0.9 * state.get("m", 0) + 0.1 * dw
    v = 0.999 * state.get("v", 0) + 0.001 * dw**2
    step = lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return (w if rule == "adam" else w * (1 - lr * 0.01)) - step, {"m": m, "v": v}


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_three_steps_follow_the_formula(rule):
    w, config, state = W, None, [{} for _ in range(20)]
    expected = W.ravel().tolist()
    for t in (1, 2, 3):
        dw = DW * t
        w, config = UPDATE_RULES[rule](w, dw, config)
        pairs = [
            reference(rule, e, d, s, t)
            for e, d, s in zip(expected, dw.ravel().tolist(), state, strict=True)
        ]
        expected, state = [p[0] for p in pairs], [p[1] for p in pairs]
        np.testing.assert_allclose(w.ravel(), expected, rtol=1e-12, atol=1e-15)
    for key in state[0]:
        np.testing.assert_allclose(config[key].ravel(), [s[key] for s in state], rtol=1e-12)


def test_sgd_momentum_known_answer():
    config = {"learning_rate": 1e-3, "velocity": grid(0.6, 0.9)}
    w, config = UPDATE_RULES["sgd_momentum"](W, DW, config)
    row = [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789]
    velocity = [0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158]
    assert rel_error(w[0], row) < 1e-7
    assert rel_error(config["velocity"][0], velocity) < 1e-7


def test_rmsprop_known_answer():
    config = {"learning_rate": 1e-2, "cache": grid(0.6, 0.9)}
    w, config = UPDATE_RULES["rmsprop"](W, DW, config)
    row = [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247]
    assert rel_error(w[0], row) < 1e-7
    assert rel_error(config["cache"][0, :2], [0.5976, 0.6126277]) < 1e-7


def test_adam_known_answer():
    config = {"learning_rate": 1e-2, "m": grid(0.6, 0.9), "v": grid(0.7, 0.5), "t": 5}
    w, config = UPDATE_RULES["adam"](W, DW, config)
    row = [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977]
    assert rel_error(w[0], row) < 1e-7
    assert config["t"] == 6


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_nothing_given_is_changed(rule):
    w, dw = W.copy(), DW.copy()
    _, first = UPDATE_RULES[rule](w, dw, {"learning_rate": 0.1})
    kept = {key: np.copy(value) for key, value in first.items()}
    after, second = UPDATE_RULES[rule](w, dw, first)
    np.testing.assert_array_equal(w, W)
    np.testing.assert_array_equal(dw, DW)
    for key, value in kept.items():
        np.testing.assert_array_equal(first[key], value)
    assert not np.shares_memory(after, w)
    assert second is not first


@pytest.mark.parametrize("rule", UPDATE_RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(rule, dtype):
    config = {"learning_rate": np.float64(0.1)}
    for _ in range(2):
        w, config = UPDATE_RULES[rule](W.astype(dtype), DW.astype(dtype), config)
    arrays = [w, *(value for value in config.values() if isinstance(value, np.ndarray))]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_defaults():
    assert sgd(np.ones(1), np.ones(1))[0] == 0.99
    adam = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    rmsprop = {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8}
    assert {
        "sgd": {"learning_rate": 1e-2, "weight_decay": 0},
        "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9, "weight_decay": 0},
        "nesterov": {"learning_rate": 1e-2, "momentum": 0.9, "weight_decay": 0},
        "rmsprop": rmsprop | {"weight_decay": 0},
        "adam": adam | {"weight_decay": 0},
        "adamw": adam | {"weight_decay": 1e-2},
    } == DEFAULTS


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_weight_decay_adds_to_the_gradient_but_in_adamw_shrinks_the_weights(rule):
    config = {"learning_rate": 0.1, "weight_decay": 0.5}
    w, _ = UPDATE_RULES[rule](W, DW, config)
    plain = {"learning_rate": 0.1, "weight_decay": 0.0}
    if rule == "adamw":
        expected = UPDATE_RULES[rule](W, DW, plain)[0] - 0.1 * 0.5 * W
    else:
        expected, _ = UPDATE_RULES[rule](W, DW + 0.5 * W, plain)
    np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-15)
    assert np.abs(w - UPDATE_RULES[rule](W, DW, plain)[0]).max() > 1e-3


def test_adamw_known_answer():
    # One step of PyTorch's AdamW (lr 0.1, weight decay 0.5) on w = 2, dw = 3: 2 * 0.95 - 0.1.
    w, _ = UPDATE_RULES["adamw"](
        np.full(1, 2.0), np.full(1, 3.0), {"learning_rate": 0.1, "weight_decay": 0.5}
    )
    assert w[0] == pytest.approx(1.8, rel=1e-8)


def test_nesterov_known_answer():
    # Two steps of PyTorch's SGD (lr 0.1, momentum 0.9, nesterov) on w = 1, dw = 1: the velocities
    # are 1 and 1.9, the steps 0.1 * 1.9 and 0.1 * 2.71.
    w, config = np.ones(1), {"learning_rate": 0.1}
    for _ in range(2):
        w, config = UPDATE_RULES["nesterov"](w, np.ones(1), config)
    assert w[0] == pytest.approx(1 - 0.19 - 0.271, rel=1e-12)


def test_gradients_are_clipped_by_the_norm_of_all_together():
    grads = {"a": np.full(2, 3.0, np.float32), "b": np.full(2, 4.0, np.float32)}  # norm sqrt(50)
    clipped = clip_gradients(grads, 1.0)
    assert sum(float((g**2).sum()) for g in clipped.values()) == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(clipped["a"] / clipped["b"], 0.75, rtol=1e-6)
    assert clipped["a"].dtype == np.float32
    assert grads["a"][0] == 3
    for norm in (50**0.5 + 1e-9, 100.0):
        assert all(clip_gradients(grads, norm)[name] is g for name, g in grads.items())
    endless = {"a": np.full(1, np.inf)}
    assert clip_gradients(endless, 1.0)["a"] is endless["a"]


@pytest.mark.parametrize(
    ("rule", "config", "message"),
    [
        ("adagrad", {}, "update_rule='adagrad' must be one of sgd, sgd_momentum, nesterov, rmspr"),
        (
            "sgd",
            {"momentum": 0.9},
            "optim_config['momentum'] is not known to sgd; known: learning_",
        ),
        ("adam", {"beta1": 1}, "optim_config['beta1'] (=1) must be at least 0 and less than 1"),
        ("sgd", {"learning_rate": -1}, "optim_config['learning_rate'] (=-1) must be a finite numb"),
        ("sgd", {"learning_rate": "1"}, "optim_config['learning_rate'] (='1') must be a finite nu"),
        ("sgd", {"learning_rate": np.nan}, "optim_config['learning_rate'] (=nan) must be a finit"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused(rule, config, message):
    with pytest.raises(ParameterError) as caught:
        check_rule(rule, config)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_a_step_of_all_parameters_is_the_rule_on_each_with_its_own_state(rule):
    params, grads = {"a": W, "b": 2 * W}, {"a": DW, "b": -DW}
    configs = {"a": {"learning_rate": 0.5}, "b": {"learning_rate": 0.25}}
    stepped, after = step(rule, params, grads, configs)
    for name in params:
        w, config = UPDATE_RULES[rule](params[name], grads[name], configs[name])
        np.testing.assert_array_equal(stepped[name], w)
        assert after[name].keys() == config.keys()
        assert after[name]["learning_rate"] == configs[name]["learning_rate"]
    assert params["a"] is W
    assert configs["a"] == {"learning_rate": 0.5}
