"""The parts of a conformance run's page, read from its HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img"}


@dataclass
class Panel:
    """One panel of a drawing: a cell's title by its place, and the outlined places."""

    titles: dict[tuple[int, int], str] = field(default_factory=dict)
    tones: dict[tuple[int, int], str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    outlined: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def first(self) -> list[str]:
        """The titles of the cells outlined as the first wrong one."""
        return [self.titles[at] for at, how in self.outlined.items() if how == "first"]

    @property
    def wrong(self) -> list[str]:
        """The titles of all outlined cells, in order."""
        return [self.titles[at] for at in self.outlined]


class Page(HTMLParser):
    """The page; reading it fails where an element is not closed as it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: dict[str, list[str]] = {}
        """Text by the class of its element, or by its tag."""
        self.tables: dict[str, list[list[str]]] = {}
        self.panels: list[Panel] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._title = ""
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.links += [found[name] for name in ("src", "srcset", "href") if name in found]
        if tag == "table":
            self._rows: list[list[str]] = []
            self.tables[found.get("id", "")] = self._rows
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "svg":
            self.panels.append(Panel())
        if tag not in VOID:
            self._open.append((tag, found.get("class", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert tag == "rect", tag
        panel, tone = self.panels[-1], found["class"]
        x, y = int(float(found["x"])), int(float(found["y"]))
        if tone in ("first", "wrong"):
            panel.outlined[x - 1, y - 1] = tone
        else:
            panel.titles[x, y], panel.tones[x, y] = self._title, tone

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        tag, kind = self._open[-1] if self._open else ("", "")
        if tag in ("td", "th"):
            self._rows[-1][-1] += data
        elif tag == "title" and self.panels:
            self._title = data
        elif tag == "text":
            self.panels[-1].texts.append(data)
        if data.strip():
            self.words.setdefault(kind or tag, []).append(data.strip())
