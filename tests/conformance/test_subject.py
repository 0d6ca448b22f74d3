"""A subject is a backend with a recorder, which proves that the backend itself computed."""

from __future__ import annotations

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import api
from convkit.conformance import catalogue, data
from convkit.conformance.subject import Impostor, Subject, Unsupported


class NoDilation(Im2colNumpy):
    name = "no_dilation"
    expected_failures = {"real": "rounds"}  # noqa: RUF012

    def supports(self, spec):  # type: ignore[no-untyped-def]
        return "no dilation" if max(spec.dilation) > 1 else None


def test_a_call_that_another_backend_answers_is_an_impostor_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = api.conv_forward
    case = catalogue.structured("conv", "quick")[0]
    out, cache = Subject(Im2colNumpy()).forward(case, data.inputs(case))
    assert out.shape == case.out_shape
    assert cache.backend == "im2col_numpy"

    def someone_else(*args, backend, **kwargs):  # type: ignore[no-untyped-def]
        return honest(*args, backend="naive", **kwargs)

    monkeypatch.setattr(api, "conv_forward", someone_else)
    with pytest.raises(Impostor, match="'im2col_numpy' was not asked"):
        Subject(Im2colNumpy()).forward(case, data.inputs(case))


def test_a_refusal_is_the_backend_s_own_sentence() -> None:
    subject = Subject(NoDilation())
    dilated = next(c for c in catalogue.structured("conv", "quick") if c.feature == "dilation")
    plain = catalogue.structured("conv", "quick")[0]
    with pytest.raises(Unsupported, match="no dilation"):
        subject.require(dilated)
    assert list(subject.supported([dilated, plain])) == [plain]


def test_the_facts_are_what_the_backend_declares() -> None:
    facts = Subject(NoDilation()).facts()
    assert facts["name"] == "no_dilation"
    assert facts["expected_failures"] == {"real": "rounds"}
    assert facts["exact"] is True
