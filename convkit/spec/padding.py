"""What lies around an image: which pixel a padded one copies, in the modes of a convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from convkit.errors import ParameterError
from convkit.names import suggest
from convkit.spec.arguments import Pairs, Shape

PadMode: TypeAlias = Literal["zeros", "circular", "reflect", "symmetric", "edge"]

ZEROS: Final = "zeros"

_SOURCES: dict[str, Callable[[int, int], int]] = {
    "circular": lambda place, size: place % size,
    "reflect": lambda place, size: -place if place < 0 else 2 * (size - 1) - place,
    "symmetric": lambda place, size: -1 - place if place < 0 else 2 * size - 1 - place,
    "edge": lambda place, size: 0 if place < 0 else size - 1,
}
"""By mode: the pixel that stands at a place before (below 0) or after an axis of ``size`` pixels.

Of "circular", "reflect" and "symmetric" it holds as far as the padding is no longer than the image.
"""

PAD_MODES: tuple[str, ...] = (ZEROS, *_SOURCES)
"""How a convolution may be padded, by NumPy's names, but for "zeros" and "circular" ("wrap")."""

_OTHER_NAMES = {"constant": ZEROS, "wrap": "circular", "replicate": "edge"}
"""What NumPy and PyTorch call some of them."""


def check_pad_mode(value: Any) -> str:
    """Return a pad_mode; anything else raises ParameterError."""
    if isinstance(value, str) and value in PAD_MODES:
        return value
    text = f"pad_mode (={value!r}) must be one of {', '.join(PAD_MODES)}"
    if isinstance(value, str):
        other = _OTHER_NAMES.get(value)
        hint = f"here that is {other!r}" if other else suggest(value, PAD_MODES)
        text += hint and f"; {hint}"
    raise ParameterError(text)


def check_pad_fits(mode: str, pad: Any, pads: Pairs, sizes: Shape) -> None:
    """Raise ParameterError where an axis has too few pixels to copy."""
    if mode in (ZEROS, "edge"):
        return
    for axis, (pair, size) in enumerate(zip(pads, sizes, strict=True)):
        most = size - 1 if mode == "reflect" else size
        if max(pair) > most:
            raise ParameterError(
                f"pad (={pad!r}) with pad_mode (={mode!r}) must be at most {most} along spatial "
                f"axis {axis}, where x has {size} pixels; give a smaller one, or pad_mode='edge'"
            )


def sources(mode: str, size: int, pair: tuple[int, int]) -> tuple[int, ...]:
    """Return for each pixel of a padded axis the pixel of the image that it copies.

    ``mode`` is any but "zeros", which copies none.
    """
    begin, end = pair
    copied = _SOURCES[mode]
    return (
        *(copied(place, size) for place in range(-begin, 0)),
        *range(size),
        *(copied(place, size) for place in range(size, size + end)),
    )
