"""Where the C sources of the kernels can be mutated.

A site is an operator, constant or bound inside a function. Its name (``Site.name``) says the file,
the function, the kind and which of its kind there it is, so it stays the same when anything
outside the function changes. tools/kernel_schemata.py writes them into the source.

Left alone: preprocessor lines (definitions of macros among them) and all outside functions, where
C needs constants; labels of ``case``, attributes, static assertions and prefetches; that memory ran
out (``return -1``); and `SKIPPED`.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Below backends/cython/src. isa/ only includes; runtime/ is threads, memory and dispatch, where a
#: mutant gives the same results by other means or ends the process.
FOLDERS = ("conv", "depthwise", "fused", "gemm", "norm", "pool", "simd", "strip", "winograd")

#: Functions that only choose between ways which give the same results, by what they are: a mutant
#: in them is faster or slower, which no test of results can see.
SKIPPED = {
    r"strip_fits|rows_are_better|\w+_pays(_in)?|ck_rule_\w+": "a cost model, of ways to compute",
    r"\w+_work": "how much work there is, which decides how many threads take part",
    r"set_prefetch_distance|\w*prefetch\w*|fetch_weights": "what is prefetched, and how early",
    r"odd_lines": "distances in memory at which the cache works best",
}
NOT_MUTATED = re.compile("|".join(SKIPPED))

TOKEN = re.compile(
    r"""(?P<blank>\s+|/\*.*?\*/|//[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>(?:0[xX][\da-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)[uUlLfF]*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.VERBOSE | re.DOTALL,
)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*", re.MULTILINE | re.DOTALL)
PRECEDENCE = {
    mark: level
    for level, marks in enumerate(
        ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"), 1
    )
    for mark in marks.split()
}
ENDS = {"?", ":", ",", ";", "=", "return", "{", "else"} | {
    f"{mark}=" for mark in ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
}
#: What a mutant has instead of an operator or macro.
RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
OTHER = {"+": "-", "-": "+", "&&": "||", "||": "&&", "CK_MIN": "CK_MAX", "CK_MAX": "CK_MIN"}
UNTOUCHED = {"_Static_assert", "__attribute__", "__builtin_prefetch", "_Pragma", "sizeof"}
CAST = re.compile(
    r"\((?:const )?"
    r"(?:REAL|I?VECU?|idx|int|unsigned|double|float|char|size_t|u?int\d+_t)(?: ?\*+)?\)"
)


@dataclass(frozen=True)
class Token:
    """A piece of C: its kind (a group of `TOKEN`, or "directive"), text, line and offset."""

    kind: str
    text: str
    line: int
    at: int


@dataclass(frozen=True)
class Site:
    """One mutant: tokens first .. last of a file; ``at`` is the token that is changed."""

    file: str
    function: str
    kind: str
    ordinal: int
    line: int
    first: int
    at: int
    last: int

    @property
    def name(self) -> str:
        return f"{self.file}:{self.function}:{self.kind}:{self.ordinal}"

    @property
    def folder(self) -> str:
        return self.file.partition("/")[0]


def tokens_of(text: str) -> list[Token]:
    """Return the tokens, comments and white space left out."""
    found: list[Token] = []

    def plain(start: int, end: int) -> None:
        for m in TOKEN.finditer(text, start, end):
            if m.lastgroup != "blank":
                line = text.count("\n", 0, m.start()) + 1
                found.append(Token(str(m.lastgroup), m[0], line, m.start()))

    at = 0
    for m in PREPROCESSOR.finditer(text):
        plain(at, m.start())
        found.append(Token("directive", m[0], text.count("\n", 0, m.start()) + 1, m.start()))
        at = m.end()
    plain(at, len(text))
    return found


class Source:
    """One file: its tokens, which brackets belong together, and its functions."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.tokens = file, text, tokens_of(text)
        self.match: dict[int, int] = {}
        self.functions: list[tuple[str, int, int]] = []
        open_: list[int] = []
        begin = 0
        for i, token in enumerate(self.tokens):
            if token.text in ("(", "[", "{"):
                open_.append(i)
            elif token.text in (")", "]", "}") and open_:
                self.match[i] = open_.pop()
                self.match[self.match[i]] = i
                if token.text == "}" and not open_:
                    self._function(begin, self.match[i], i)
            if not open_ and (token.text in (";", "}") or token.kind == "directive"):
                begin = i + 1

    def _function(self, begin: int, opening: int, closing: int) -> None:
        if self.tokens[opening - 1].text != ")":
            return  # of a struct, an enum or an initialiser
        head = " ".join(t.text for t in self.tokens[begin:opening])
        name = re.search(r"FN \( (\w+) \) \(", head) or re.search(
            r"(?!__attribute__|noinline|unused|always_inline)\b(\w+) \((?! \()", head
        )
        self.functions.append((name[1] if name else "?", opening, closing))

    def is_binary(self, i: int) -> bool:
        """Whether the operator has an operand before it."""
        before = self.tokens[i - 1]
        if before.text == ")":
            inside = self.text[self.tokens[self.match[i - 1]].at : before.at + 1]
            return not CAST.fullmatch(inside)
        return before.text in ("]", "}") or (
            before.kind in ("word", "number") and before.text not in ENDS
        )

    def extent(self, i: int) -> tuple[int, int] | None:
        """Return the first and last token of the expression of the operator i; None: none."""
        level, first, last = PRECEDENCE[self.tokens[i].text], i, i
        while (step := self._step(first - 1, -1, level)) is not None:
            first = step
        while (step := self._step(last + 1, 1, level + 1)) is not None:
            last = step
        return (first, last) if first < i < last else None

    def _step(self, i: int, way: int, least: int) -> int | None:
        token = self.tokens[i]
        closing = (")", "]", "}") if way < 0 else ("(", "[", "{")
        opening = ("(", "[", "{") if way < 0 else (")", "]", "}")
        if token.kind == "directive" or token.text in opening or token.text in ENDS - {"{"}:
            return None
        if token.text in closing:
            return self.match[i]
        level = PRECEDENCE.get(token.text, 99)
        return None if level < least and self.is_binary(i) else i


def sites_of(file: str, text: str) -> list[Site]:
    """Return every site of a file, in the order of the text."""
    source = Source(file, text)
    found = []
    counts: Counter[tuple[str, str]] = Counter()  # #if can hold several functions of one name
    for function, opening, closing in source.functions:
        if not NOT_MUTATED.fullmatch(function):
            for kind, first, at, last in _in_function(source, opening, closing):
                counts[function, kind] += 1
                line = source.tokens[at].line
                found.append(
                    Site(file, function, kind, counts[function, kind], line, first, at, last)
                )
    return found


def _in_function(s: Source, opening: int, closing: int) -> Iterator[tuple[str, int, int, int]]:
    skip_to = opening
    for i in range(opening + 1, closing):
        token = s.tokens[i]
        if token.text in UNTOUCHED and s.tokens[i + 1].text == "(":
            skip_to = max(skip_to, s.match[i + 1])
        if token.text == "work" and s.tokens[i + 1].text == "=":  # see SKIPPED
            skip_to = next(j for j in range(i, closing) if s.tokens[j].text == ";")
        if i <= skip_to or s.tokens[i - 1].text == "case":
            continue
        if token.text in ("CK_MIN", "CK_MAX"):
            yield "minmax", i, i, s.match[i + 1]
        elif [t.text for t in s.tokens[i - 2 : i]] == ["return", "-"]:
            continue  # that memory ran out
        elif token.kind == "number" and re.fullmatch(r"\d+[uUlL]*", token.text):
            yield "constant+1", i, i, i
            if int(token.text.rstrip("uUlL")):
                yield "constant-1", i, i, i
        elif token.text in ("+=", "-="):
            end = i
            while (step := s._step(end + 1, 1, 0)) is not None:
                end = step
            yield "sign", i + 1, i, end
        elif token.text in PRECEDENCE and s.is_binary(i):
            yield from _of_operator(s, i)


def _of_operator(s: Source, i: int) -> Iterator[tuple[str, int, int, int]]:
    text, around = s.tokens[i].text, s.extent(i)
    if around is None:
        return
    first, last = around
    if text in RELATIONS:
        yield "relation", first, i, last
        if text in ("<", "<=", ">", ">=") and s.tokens[first - 1].text == ";":
            yield "bound", i + 1, i, last
    elif text in ("+", "-"):
        yield "arithmetic", first, i, last
    elif text in ("&&", "||"):
        yield "logic", first, i, last


def read_sites(top: Path) -> list[Site]:
    """Return every site below backends/cython/src (``top``), by file."""
    files = [p for f in FOLDERS for p in sorted((top / f).glob("*.h"))]
    return [s for p in files for s in sites_of(p.relative_to(top).as_posix(), p.read_text())]


def sample(sites: Iterable[Site], seed: int) -> list[Site]:
    """Return the sites in an order of which every beginning has each folder's share.

    Within a folder the kinds take turns, for constants are as many as all else.
    """
    folders: dict[str, dict[str, list[Site]]] = defaultdict(lambda: defaultdict(list))
    for site in sites:
        folders[site.folder][site.kind].append(site)
    ranked = []
    for folder, kinds in folders.items():
        turns = []
        for kind, those in sorted(kinds.items()):
            random.Random(f"{seed} {folder} {kind}").shuffle(those)
            turns += [(turn, kind, site) for turn, site in enumerate(those)]
        turns.sort(key=lambda t: t[:2])
        ranked += [((i + 0.5) / len(turns), folder, t[2]) for i, t in enumerate(turns)]
    return [site for *_, site in sorted(ranked, key=lambda r: r[:2])]
