"""The mutants of the C sources: valid C with one of them at a time, under names that stay."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOP = Path(__file__).parent.parent
SNIPPET = """\
#define TWICE(a) ((a) + (a)) /* never mutated */
enum { LIMIT = 3 + 1 };
static int clamp(int a, int most)
{
    int sum = 0; /* 1 + 1 */
    for (int i = 0; i < CK_MIN(a, most); i++)
        sum += (int)-1 + i * (a - most) - LIMIT;
    switch (a) {
    case 3: return -1;
    }
    return sum > 5 && a != most || sum == -3 ? sum : TWICE(sum);
}
"""


@pytest.fixture(scope="module")
def tools() -> Iterator[None]:
    """Let the modules of tools/ be imported."""
    sys.path.insert(0, str(TOP / "tools"))
    yield
    sys.path.pop(0)


@pytest.fixture(scope="module")
def sites(tools: None) -> ModuleType:
    """The module that finds sites."""
    return importlib.import_module("kernel_sites")


@pytest.fixture(scope="module")
def written(tools: None) -> ModuleType:
    """The module that writes mutants."""
    return importlib.import_module("kernel_schemata")


def results(sites: ModuleType, written: ModuleType, folder: Path) -> dict[str, list[int]]:
    """Compile all mutants at once and return what each, and none (""), gives."""
    found = sites.sites_of("pool/snippet.h", SNIPPET)
    body = written.schemata("pool/snippet.h", SNIPPET, list(enumerate(found, 1)))
    assert body.count("\n") == SNIPPET.count("\n")
    program = f"""
#include <stdio.h>
static int ck_mutant;
#define CK_M(id) (ck_mutant == (id))
#define CK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CK_MAX(a, b) ((a) > (b) ? (a) : (b))
{body}
int main(void)
{{
    for (ck_mutant = 0; ck_mutant <= {len(found)}; ck_mutant++, puts(""))
        for (int a = 0; a < 9; a++)
            for (int most = 0; most < 9; most += 2)
                printf("%d ", clamp(a, most));
}}
"""
    (folder / "snippet.c").write_text(program)
    subprocess.run(["gcc", "-o", folder / "snippet", folder / "snippet.c"], check=True)
    lines = subprocess.check_output([folder / "snippet"], text=True).splitlines()
    values = [list(map(int, line.split())) for line in lines]
    return dict(zip(["", *(s.name for s in found)], values, strict=True))


def expected(a: int, most: int) -> int:
    if a == 3:
        return -1
    total = sum(-1 + i * (a - most) - 4 for i in range(min(a, most)))
    return total if (total > 5 and a != most) or total == -3 else 2 * total


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_mutants_are_valid_c_and_differ(
    sites: ModuleType, written: ModuleType, tmp_path: Path
) -> None:
    found = results(sites, written, tmp_path)
    right = [expected(a, most) for a in range(9) for most in range(0, 9, 2)]
    assert found.pop("") == right
    same = {name.partition(":")[2] for name, values in found.items() if values == right}
    # No sum of these is 5 or 6, or above 5 at all.
    assert same == {
        *("clamp:relation:2", "clamp:relation:3", "clamp:constant+1:4", "clamp:constant-1:2"),
        "clamp:logic:2",
    }
    kinds = {name.split(":")[2] for name in found}
    assert kinds == {
        *("arithmetic", "bound", "constant+1", "constant-1", "logic", "minmax"),
        *("relation", "sign"),
    }


def test_names_stay_when_other_lines_change(sites: ModuleType) -> None:
    before = [s.name for s in sites.sites_of("f.h", SNIPPET)]
    longer = "static int one(int a) { return a + 1; }\n\n" + SNIPPET.replace(
        "/* 1 + 1 */", "/* 2\n + 2 */"
    )
    after = [s.name for s in sites.sites_of("f.h", longer)]
    assert after[:2] == ["f.h:one:arithmetic:1", "f.h:one:constant+1:1"]
    assert [name for name in after if ":clamp:" in name] == before
    assert len(set(before)) == len(before)


def test_constants_and_definitions_are_left_alone(sites: ModuleType) -> None:
    lines = {s.line for s in sites.sites_of("f.h", SNIPPET)}
    assert lines == {5, 6, 7, 11}


def test_the_sample_of_the_kernels_has_every_folder_from_its_beginning(sites: ModuleType) -> None:
    every = sites.read_sites(TOP / "backends" / "cython" / "src")
    names = [s.name for s in every]
    assert len(set(names)) == len(names)
    ordered = sites.sample(every, 0)
    assert sorted(s.name for s in ordered) == sorted(names)
    assert {s.folder for s in ordered[:40]} == set(sites.FOLDERS)
    assert [s.name for s in sites.sample(every, 0)] == [s.name for s in ordered]
    assert ordered[:40] != sites.sample(every, 1)[:40]
