"""The pages in a real browser: quiet console, every picture there, readable on a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_records import run_record

from convkit.conformance import CHECKS
from convkit.conformance.planes import Plane
from convkit.conformance.report import Report, Result
from convkit.report import conformance_page
from convkit.report.page import REPORT_FILE, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--dump-dom",
]

# The page stands in a frame as wide as a phone, because a window cannot be made that narrow.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><title>frame</title>
<iframe id="phone" style="width:{width}px;height:844px;border:0" srcdoc="{page}"></iframe>
<pre id="seen"></pre>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("phone").contentDocument;
  const all = [...page.querySelectorAll("body *")];
  const inScroller = (node) => node.closest(".scroll") !== null;
  document.getElementById("seen").textContent = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    wide: all.filter((n) => !inScroller(n) && n.getBoundingClientRect().right > {width} + 0.5)
             .map((n) => n.tagName),
    scrollers: [...page.querySelectorAll(".scroll")]
                 .filter((n) => n.scrollWidth > n.clientWidth + 1).length,
    pictures: [...page.images].map((image) => [image.alt, image.naturalWidth, image.width]),
    smallest: Math.min(...all.filter((n) => n.textContent.trim())
                             .map((n) => parseFloat(getComputedStyle(n).fontSize))),
    title: page.title,
  }});
}});
</script>"""


@dataclass
class Seen:
    """What the browser saw: facts about the page, and the lines of its console."""

    facts: dict[str, Any]
    console: list[str]


def look(page: str, folder: Path, width: int = 390) -> Seen:
    """Open a page in a frame ``width`` pixels wide."""
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(page=html.escape(page), width=width), encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    if found is None or not found[1]:
        pytest.fail(f"the browser showed no page:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(json.loads(html.unescape(found[1])), console)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    write_report(run_record(), folder)
    return (folder / REPORT_FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_whole_at_phone_and_desktop_width(report: str, tmp_path: Path, width: int) -> None:
    seen = look(report, tmp_path, width)
    assert seen.console == []
    assert seen.facts["title"] == "digits-test · convkit"
    assert seen.facts["width"] <= width
    assert seen.facts["wide"] == []
    assert seen.facts["scrollers"] == 0
    assert seen.facts["smallest"] >= 12
    assert len(seen.facts["pictures"]) == 7
    for alt, natural, shown in seen.facts["pictures"]:
        assert alt
        assert natural >= 100
        assert 0 < shown <= width


def test_long_names_do_not_break_the_phone_page(tmp_path: Path) -> None:
    record = run_record(classes=3)
    record.name = "x" * 100
    record.settings["data"] = "/a/very/long/path/without/a/blank/" * 5
    record.classes = ["a" * 40, "b", "c"]
    record.backends[0] |= {"state": "broken", "problem": "ImportError: " + "y" * 200}
    record.backend = "z" * 80
    write_report(record, tmp_path)
    seen = look((tmp_path / REPORT_FILE).read_text(encoding="utf-8"), tmp_path)
    assert seen.console == []
    assert seen.facts["width"] <= 390
    assert seen.facts["wide"] == []


def conformance_run(shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    """The page of a run with a failure of every kind of drawing, and long words."""
    got = np.random.default_rng(0).normal(0, 1e5, shape)
    plane = Plane.around("out", index, got, np.where(got > 0, got, np.nan))
    case = "conv x=" + ",".join(["12345"] * 40)
    check = max(CHECKS, key=len)
    failed = Result(check, "conv_relu_pool", "plain", "", case, "fail", "y" * 300, 0, plane)
    declined = Result("space", "conv_relu_pool", "", "", "", "unsupported", "z" * 300)
    report = Report("b" * 60, "quick", 0, {"exact": True}, [failed, failed, declined])
    facts = {"cpu": "A CPU @ 1 GHz", "versions": {"numpy": "2.0"}}
    return conformance_page.render(report, "module:Name", facts)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("shape", "index"),
    [((2, 3, 30, 30_000), (0, 0, 29, 29_999)), ((1, 1, 2, 3), (0, 0, 1, 1)), ((9,), (4,))],
)
def test_the_page_of_a_conformance_run_is_whole(
    shape: tuple[int, ...], index: tuple[int, ...], width: int, tmp_path: Path
) -> None:
    seen = look(conformance_run(shape, index), tmp_path, width)
    assert seen.console == []
    assert seen.facts["width"] <= width
    assert seen.facts["wide"] == []
    assert seen.facts["scrollers"] == 0
    assert seen.facts["smallest"] >= 12


def test_the_look_finds_what_is_wrong(report: str, tmp_path: Path) -> None:
    wide = '<div style="width:600px">wide</div>'
    gone = '<img alt="gone" src="data:image/png;base64,AAAA">'
    loud = '<script>console.error("loud")</script>'
    seen = look(report.replace("</main>", wide + gone + loud + "</main>"), tmp_path)
    assert seen.facts["width"] > 390
    assert "DIV" in seen.facts["wide"]
    assert [natural for alt, natural, _ in seen.facts["pictures"] if alt == "gone"] == [0]
    assert ["loud" in line for line in seen.console] == [True]
