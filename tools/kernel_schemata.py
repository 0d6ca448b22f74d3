"""Write the C sources of the kernels with mutants in them, all compiled at once.

Each chosen site (tools/kernel_sites.py) reads ``(CK_M(number) ? mutated : original)``, on the lines
where it was; one mutant is active in a run. Sites inside a site are written in both alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernel_sites import OTHER, RELATIONS, Site, Source

#: For ck.h.
DECLARED = """
extern int ck_mutant __attribute__((visibility("hidden")));
extern unsigned char *ck_reached __attribute__((visibility("hidden")));
static inline int ck_note(int id) { ck_reached[id] = 1; return 0; }
#define CK_M(id) (ck_mutant == (id) || (ck_mutant < 0 && ck_note(id)))
"""

#: For one source.
DEFINED = """
/* The mutant that is active, from CONVKIT_MUTANT: 0 is none, -1 notes those that are reached, in a
 * shared file, for the processes of a run may end in any way. */
#include <fcntl.h>
#include <sys/mman.h>
int ck_mutant;
unsigned char *ck_reached;
__attribute__((constructor)) static void choose(void)
{
    const char *number = getenv("CONVKIT_MUTANT"), *name = getenv("CONVKIT_REACHED");
    ck_mutant = number ? atoi(number) : 0;
    if (ck_mutant < 0)
        ck_reached = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED,
                          open(name, O_RDWR), 0);
}
"""


def schemata(file: str, text: str, chosen: Sequence[tuple[int, Site]]) -> str:
    """Return the source with these mutants, (number, site), each on the lines where it was."""
    source = Source(file, text)
    return _render(source, 0, len(source.tokens) - 1, list(chosen), flat=False)


def mutated(text: str, site: Site) -> str:
    """Return the lines of the site as the mutant has them."""
    source = Source(site.file, text)
    _, other = _alternatives(source, site, [])
    first, last = source.tokens[site.first], source.tokens[site.last]
    end = last.at + len(last.text)
    start, stop = text.rfind("\n", 0, first.at) + 1, text.find("\n", end)
    return text[start : first.at] + other + text[end:stop]


def _span(s: Source, first: int, last: int, *, flat: bool) -> str:
    if first > last:
        return ""
    if flat:  # in a copy of an expression, without line ends and comments
        return " ".join(t.text for t in s.tokens[first : last + 1])
    return s.text[s.tokens[first].at : s.tokens[last].at + len(s.tokens[last].text)]


def _render(s: Source, first: int, last: int, inside: list[tuple[int, Site]], *, flat: bool) -> str:
    """Write tokens first .. last, with the mutants that lie inside."""
    inside = [c for c in inside if first <= c[1].first and c[1].last <= last]
    inside.sort(key=lambda c: (c[1].first, -c[1].last, c[0]))
    pieces, at, begin = [], first, 0 if first == 0 and not flat else s.tokens[first].at

    def upto(end: int) -> str:
        return _span(s, at, end, flat=True) + " " if flat else s.text[begin : s.tokens[end + 1].at]

    while inside:
        number, site = inside.pop(0)
        within = [c for c in inside if c[1].last <= site.last]
        inside = [c for c in inside if c[1].last > site.last]
        if site.first > at:
            pieces.append(upto(site.first - 1))
        original, other = _alternatives(s, site, within, keep_lines=not flat)
        pieces.append(f"(CK_M({number}) ? {other} : {original})")
        at = site.last + 1
        begin = s.tokens[site.last].at + len(s.tokens[site.last].text)
    if at <= last:
        pieces.append(_span(s, at, last, flat=True) if flat else s.text[begin : _end(s, last)])
    return "".join(pieces)


def _end(s: Source, last: int) -> int:
    whole = last == len(s.tokens) - 1
    return len(s.text) if whole else s.tokens[last].at + len(s.tokens[last].text)


def _alternatives(
    s: Source, site: Site, within: list[tuple[int, Site]], keep_lines: bool = False
) -> tuple[str, str]:
    """Return the expression as it is and as the mutant has it, ``within`` written in both."""
    flat = _render(s, site.first, site.last, list(within), flat=True)
    original = _render(s, site.first, site.last, list(within), flat=not keep_lines)
    mark = s.tokens[site.at].text
    if site.kind.startswith("constant"):
        return original, f"({flat} {site.kind[-2]} 1)"
    if site.kind == "sign":
        return original, f"-({flat})"
    if site.kind == "bound":
        return original, f"({flat}) {'-' if '<' in mark else '+'} 1"
    if site.kind == "minmax":
        return original, OTHER[mark] + _render(s, site.at + 1, site.last, list(within), flat=True)
    left = _render(s, site.first, site.at - 1, list(within), flat=True)
    right = _render(s, site.at + 1, site.last, list(within), flat=True)
    return original, f"{left} {RELATIONS.get(mark) or OTHER[mark]} {right}"
