"""The process beside: backward there gives what it gives here, and what goes wrong is said."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit.conformance import guard
from convkit.conformance.cases import case
from convkit.conformance.data import inputs
from convkit.conformance.helper import Helper
from convkit.conformance.subject import Failed, Subject

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

CASE = case("conv", "given", x=(2, 3, 7, 5), w=(4, 3, 3, 2))
HERE = os.getpid()


class Misbehaves(Im2colNumpy):
    """Does something in the backward call of another process."""

    name = "misbehaves"
    what = ""

    def conv_backward(self, *arguments):  # type: ignore[no-untyped-def]
        if self.what == "raises" and os.getpid() != HERE:
            raise RuntimeError("not here")
        if self.what == "ends" and os.getpid() != HERE:
            os._exit(3)
        if self.what == "hangs" and os.getpid() != HERE:
            time.sleep(3600)
        return super().conv_backward(*arguments)


def _ask(backend: Im2colNumpy) -> tuple[object, dict[str, np.ndarray]]:
    subject = Subject(backend)
    helper = Helper(subject)
    try:
        given = inputs(CASE).copies()
        _, cache = subject.forward(CASE, given)
        there = helper.backward(CASE, given.dout, cache)
        return there, subject.backward(CASE, given.dout, cache)
    finally:
        helper.close()


def test_the_process_computes_what_this_one_does() -> None:
    there, here = _ask(Im2colNumpy())
    assert isinstance(there, dict)
    assert set(there) == {"dx", "dw", "db"}
    for name, value in here.items():
        np.testing.assert_array_equal(there[name], value)


def test_saved_state_that_does_not_pickle_is_not_asked_about() -> None:
    class Unportable(Im2colNumpy):
        name = "unportable"

        def conv_forward(self, spec, x, w, b):  # type: ignore[no-untyped-def]
            out, _ = super().conv_forward(spec, x, w, b)
            return out, lambda: None

    assert _ask(Unportable())[0] is None


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raises", "not here"),
        ("ends", "ended that process"),
        ("hangs", r"no answer within 0.3 s \(a hang\)"),
    ],
)
def test_what_goes_wrong_there_is_a_failure_here(
    what: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "FORK_SECONDS", 5.0 if what != "hangs" else 0.3)
    backend = Misbehaves()
    backend.what = what
    with pytest.raises(Failed, match=said):
        _ask(backend)
