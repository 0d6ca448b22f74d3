"""Update rules, in order of growing complexity.

Each is a pure function ``(w, dw, config) -> (next_w, next_config)``: neither its arrays nor its
dictionary are changed, so earlier parameters can be kept by reference. (The course's versions
write their state into the dictionary they are given; here it is in the one returned.) A key missing
from ``config`` has its default, and state starts at zero.

``weight_decay`` is coupled, as in PyTorch's rules of these names: ``weight_decay * w`` is added to
the gradient. In adamw alone it is decoupled, as in PyTorch's AdamW: w is multiplied by
``1 - learning_rate * weight_decay`` besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.errors import ParameterError

__all__ = [
    "DEFAULTS",
    "UPDATE_RULES",
    "adam",
    "adamw",
    "check_rule",
    "clip_gradients",
    "nesterov",
    "rmsprop",
    "sgd",
    "sgd_momentum",
    "step",
]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Config: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Array, Array, Mapping[str, Any] | None], tuple[Array, Config]]

DEFAULTS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 1e-2},
    "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9},
    "nesterov": {"learning_rate": 1e-2, "momentum": 0.9},
    "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "adamw": {
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "weight_decay": 1e-2,
    },
}
for _numbers in DEFAULTS.values():
    _numbers.setdefault("weight_decay", 0.0)


def sgd(w: Array, dw: Array, config: Mapping[str, Any] | None = None) -> tuple[Array, Config]:
    """Step against the gradient: w - learning_rate * dw."""
    c = _complete("sgd", config)
    dw = _decayed(w, dw, c)
    return w - c["learning_rate"] * dw, c


def sgd_momentum(
    w: Array, dw: Array, config: Mapping[str, Any] | None = None
) -> tuple[Array, Config]:
    """Step along a decaying velocity: v = momentum * v - learning_rate * dw; w + v.

    State: ``velocity``, of w's shape.
    """
    c = _complete("sgd_momentum", config)
    dw = _decayed(w, dw, c)
    v = c["momentum"] * c.get("velocity", np.zeros_like(w))
    v -= c["learning_rate"] * dw
    return w + v, c | {"velocity": v}


def nesterov(w: Array, dw: Array, config: Mapping[str, Any] | None = None) -> tuple[Array, Config]:
    """Look ahead along the velocity (Nesterov, 1983; Sutskever et al., 2013), as PyTorch's SGD.

    v = momentum * v + dw; w - learning_rate * (dw + momentum * v). The velocity is free of the
    learning rate, so one that changes does not change what was gathered.
    State: ``velocity``, of w's shape.
    """
    c = _complete("nesterov", config)
    dw = _decayed(w, dw, c)
    v = c["momentum"] * c.get("velocity", np.zeros_like(w))
    v += dw
    step = c["momentum"] * v
    step += dw
    step *= c["learning_rate"]
    return np.subtract(w, step, out=step), c | {"velocity": v}


def rmsprop(w: Array, dw: Array, config: Mapping[str, Any] | None = None) -> tuple[Array, Config]:
    """Divide each step by a running root mean square of its gradient (Tieleman & Hinton, 2012).

    s = decay_rate * s + (1 - decay_rate) * dw^2; w - learning_rate * dw / (sqrt(s) + epsilon).
    State: ``cache`` (s), of w's shape.
    """
    c = _complete("rmsprop", config)
    dw = _decayed(w, dw, c)
    s = _moving_average(c.get("cache"), c["decay_rate"], dw * dw)
    step = np.sqrt(s)
    step += c["epsilon"]
    np.divide(dw, step, out=step)
    step *= c["learning_rate"]
    return np.subtract(w, step, out=step), c | {"cache": s}


def adam(w: Array, dw: Array, config: Mapping[str, Any] | None = None) -> tuple[Array, Config]:
    """Momentum and rmsprop together, corrected for the bias of their zero start.

    Kingma & Ba (2015), algorithm 1: m and v are the running means of dw and dw^2, t counts from 1,
    w - learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon).
    State: ``m`` and ``v``, of w's shape, and ``t``.
    """
    c = _complete("adam", config)
    step, c = _adam_step(_decayed(w, dw, c), c)
    return np.subtract(w, step, out=step), c


def adamw(w: Array, dw: Array, config: Mapping[str, Any] | None = None) -> tuple[Array, Config]:
    """Adam with the weight decay apart from the gradient (Loshchilov & Hutter, 2019, algorithm 2).

    w * (1 - learning_rate * weight_decay) less adam's step; the state is adam's.
    """
    c = _complete("adamw", config)
    step, c = _adam_step(dw, c)
    kept = w * (1 - c["learning_rate"] * c["weight_decay"])
    return np.subtract(kept, step, out=step), c


def _adam_step(dw: Array, c: Config) -> tuple[Array, Config]:
    """Return what adam subtracts, and its next dictionary."""
    t = c.get("t", 0) + 1
    m = _moving_average(c.get("m"), c["beta1"], dw)
    v = _moving_average(c.get("v"), c["beta2"], dw * dw)
    step = v / (1 - c["beta2"] ** t)
    np.sqrt(step, out=step)
    step += c["epsilon"]
    np.divide(m, step, out=step)
    step *= c["learning_rate"] / (1 - c["beta1"] ** t)
    return step, c | {"m": m, "v": v, "t": t}


UPDATE_RULES: dict[str, Rule] = {
    "sgd": sgd,
    "sgd_momentum": sgd_momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}


def step(
    rule: str,
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    configs: Mapping[str, Config],
) -> tuple[dict[str, Array], dict[str, Config]]:
    """Return what one step by an update rule makes of every parameter and of its dictionary."""
    update = UPDATE_RULES[rule]
    steps = {name: update(w, grads[name], configs[name]) for name, w in params.items()}
    return (
        {name: w for name, (w, _) in steps.items()},
        {name: config for name, (_, config) in steps.items()},
    )


def clip_gradients(grads: Mapping[str, Array], clip_norm: float) -> dict[str, Array]:
    """Return gradients whose norm, over all of them together, is at most ``clip_norm``.

    Larger ones are multiplied by clip_norm / norm (Pascanu et al., 2013); a norm that is not finite
    is left to the loss, which tells that the run diverges.
    """
    norm = math.sqrt(sum(float(np.square(dw, dtype=np.float64).sum()) for dw in grads.values()))
    if not clip_norm < norm < math.inf:
        return dict(grads)
    return {name: dw * dw.dtype.type(clip_norm / norm) for name, dw in grads.items()}


def check_rule(name: str, config: Mapping[str, Any]) -> None:
    """Raise ParameterError for an unknown rule, an unknown key, or a value out of its range."""
    if name not in UPDATE_RULES:
        raise ParameterError(f"update_rule={name!r} must be one of {', '.join(UPDATE_RULES)}")
    known = DEFAULTS[name]
    for key, value in config.items():
        if key not in known:
            raise ParameterError(
                f"optim_config[{key!r}] is not known to {name}; known: {', '.join(known)}"
            )
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        share = key in ("momentum", "decay_rate", "beta1", "beta2")
        if not number or not 0 <= value < (1 if share else np.inf):
            rule = "at least 0 and less than 1" if share else "a finite number of at least 0"
            raise ParameterError(f"optim_config[{key!r}] (={value!r}) must be {rule}")


def _complete(rule: str, config: Mapping[str, Any] | None) -> Config:
    """Return a new dictionary: what was given, with the rule's default for every missing number.

    The numbers become Python floats: a NumPy float64 would turn float32 parameters into float64.
    """
    given = config or {}
    numbers = {key: float(given.get(key, value)) for key, value in DEFAULTS[rule].items()}
    return {**given, **numbers}


def _decayed(w: Array, dw: Array, c: Config) -> Array:
    """Return dw + weight_decay * w: the gradient with that of weight_decay / 2 * |w|^2."""
    return dw + c["weight_decay"] * w if c["weight_decay"] else dw


def _moving_average(old: Array | None, keep: float, new: Array) -> Array:
    """Return keep * old + (1 - keep) * new as a new array; no old one counts as zero."""
    average = (1 - keep) * new
    if old is not None:
        average += keep * old
    return average
