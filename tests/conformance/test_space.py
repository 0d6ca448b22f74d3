"""What problems are drawn from: blocks, residues, and geometries read from their text."""

from __future__ import annotations

import pytest

from convkit.conformance.space import block, residue, window


@pytest.mark.parametrize(
    ("size", "name"), [(1, "1"), (2, "2"), (3, "3-4"), (8, "5-8"), (9, "9-16"), (65, ">64")]
)
def test_a_block_is_named_by_its_edges(size: int, name: str) -> None:
    assert block(size) == name


def test_residues_are_of_blocks_of_eight() -> None:
    assert residue(17) == "1 mod 8"
    assert residue(7) == residue(8) == "within 8"


def test_a_geometry_is_read_from_its_text() -> None:
    found = window("5x3/2,1 d1,2 same")
    assert (found.kernel, found.stride, found.dilation) == ((5, 3), (2, 1), (1, 2))
    assert found.sizes == (5, 5)
    assert found.padding() == ((2, 2), (2, 2))
    assert found.pixels((3, 4), 1) == (6, 4)
    assert window("3x3 very wide").pixels((1, 1), 0) is None
