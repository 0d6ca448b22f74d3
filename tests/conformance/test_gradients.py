"""Central differences of the backend's own forward find a wrong gradient, and no right one."""

from __future__ import annotations

import pytest
from convkit_im2col_numpy import Im2colNumpy

from convkit import conformance

CASE = "conv x=2,2,5,4 w=3,2,3,2 dtype=float64 data=ties-small"


class Scaled(Im2colNumpy):
    """Its gradient of one input is twice too large."""

    name = "scaled"

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def conv_backward(self, spec, dout, x, w, saved, needs):  # type: ignore[no-untyped-def]
        found = list(super().conv_backward(spec, dout, x, w, saved, needs))
        if found[self.place] is not None:
            found[self.place] = 2 * found[self.place]
        return tuple(found)


@pytest.mark.parametrize("check", ["gradient", "adjoint"])
def test_right_gradients_pass(check: str) -> None:
    assert conformance.run("im2col_numpy", case=f"{check} {CASE}").ok


@pytest.mark.parametrize(("place", "name"), [(0, "dx"), (1, "dw"), (2, "db")])
def test_a_gradient_of_another_size_is_found(place: int, name: str) -> None:
    report = conformance.run(Scaled(place), case=f"gradient {CASE}")
    assert report.failures[0].message.startswith(f"{name}[")
    assert "the central difference" in report.failures[0].message


@pytest.mark.parametrize(("place", "name"), [(0, "dx"), (1, "dw")])
def test_the_adjoint_differs(place: int, name: str) -> None:
    report = conformance.run(Scaled(place), case=f"adjoint {CASE}")
    assert f"<{name[1:]}, {name}> is" in report.failures[0].message
