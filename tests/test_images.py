"""Image files become arrays (C, H, W); what is no image is an error of one line."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import error_of, images

from convkit import images as images_module
from convkit.images import (
    FITS,
    MODES,
    Fit,
    decode,
    fit_size,
    has_image_suffix,
    header,
    in_mode,
)

Image = pytest.importorskip("PIL.Image")


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_come_first(tmp_path: Path, channels: int) -> None:
    (pixels,) = images(1, 4, 6, channels)
    found = decode(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(found, np.moveaxis(pixels, 2, 0))
    assert found.dtype == np.uint8


def test_grey_images_have_one_channel_and_keep_their_depth(tmp_path: Path) -> None:
    pixels = np.array([[0, 255], [256, 65535]], np.uint16)
    found = decode(save(tmp_path / "a.png", pixels))
    np.testing.assert_array_equal(found, pixels[None])


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (255, 0, 0)
    found = decode(save(tmp_path / "a.png", pixels, "P"))
    np.testing.assert_array_equal(found, np.moveaxis(pixels, 2, 0))


def test_bits_become_black_and_white(tmp_path: Path) -> None:
    found = decode(save(tmp_path / "a.png", np.array([[0, 255]], np.uint8), "1"))
    np.testing.assert_array_equal(found, [[[0, 255]]])


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "an empty file"), (b"no image at all", "cannot identify")]
)
def test_what_is_no_image_is_an_error(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert error_of(decode, path).startswith(f"{path}: expected an image, found {reason}")


def test_a_picture_of_too_many_pixels_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow warns up to twice as many
    assert error_of(decode, path).startswith(f"{path}: expected an image, found ")


@pytest.mark.parametrize("transparency", [b"\x00\xff\x80", 0], ids=["per colour", "one colour"])
def test_a_palette_with_transparency_lies_over_white(
    tmp_path: Path, transparency: bytes | int
) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 0, 0, 0, 0])
    image.save(tmp_path / "a.png", transparency=transparency)
    found = np.moveaxis(decode(tmp_path / "a.png"), 0, 2)
    half = [0, 0, 0] if transparency == 0 else [127, 127, 127]
    expected = [[[255, 255, 255], [200, 100, 0]], [half, [200, 100, 0]]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_an_image_is_turned_as_its_exif_orientation_says(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :8] = 255  # white at the top left
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_allclose(decode(path)[0], upright, atol=3)


def test_a_picture_of_100_million_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (10_000, 10_000)).save(path)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    assert "exceeds limit of 89478485 pixels" in error_of(decode, path)


def test_a_broken_link_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.symlink_to("nowhere.png")
    assert error_of(decode, path) == f"{path}: expected an image, found a link to nothing"
    path.unlink()
    assert error_of(decode, path) == f"{path}: expected an image, found no such file"


def test_a_file_that_may_not_be_read_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", np.zeros((2, 2), np.uint8))

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refused)
    assert error_of(decode, path) == f"{path}: expected an image, found a file that may not be read"


WHITE_DOT = np.array([[[255, 0]], [[0, 0]], [[0, 255]]], np.uint8)  # (3, 1, 2): red, blue


@pytest.mark.parametrize("channels", MODES)
def test_a_mode_that_a_picture_has_changes_nothing(channels: int) -> None:
    pixels = np.zeros((channels, 2, 2), np.uint8)
    assert in_mode(pixels, channels, 255) is pixels


def test_colours_become_grey_as_in_pillow_and_grey_becomes_three_equal_colours() -> None:
    (pixels,) = images(1, 4, 6, 3)
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_allclose(in_mode(np.moveaxis(pixels, 2, 0), 1, 255)[0], expected, atol=0.51)
    grey = expected[None]
    np.testing.assert_array_equal(in_mode(grey, 3, 255), np.repeat(grey, 3, axis=0))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_lies_over_white(channels: int) -> None:
    alpha = np.array([[[0, 51]]], np.uint8)
    found = in_mode(np.concatenate([WHITE_DOT, alpha]), channels, 255)
    red, blue = (255 * 0.8 + 0.2 * 0, 255 * 0.8 + 0.2 * 255)
    expected = [[[255, red]], [[255, red]], [[255, blue]]]
    if channels == 1:
        expected = np.tensordot([[0.299, 0.587, 0.114]], expected, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_gets_an_alpha_channel_is_opaque_or_keeps_it() -> None:
    found = in_mode(WHITE_DOT, 4, 255)
    np.testing.assert_array_equal(found, np.concatenate([WHITE_DOT, np.full((1, 1, 2), 255)]))
    both = np.array([[[10, 20]], [[100, 200]]], np.uint8)
    np.testing.assert_allclose(in_mode(both, 4, 255), both[[0, 0, 0, 1]], rtol=1e-6)


def gradient(height: int, width: int) -> np.ndarray:
    return np.broadcast_to(np.arange(width, dtype=np.uint8), (1, height, width)).copy()


def test_crop_keeps_the_middle_and_the_proportions() -> None:
    found = fit_size(gradient(4, 12), (4, 4), "crop")
    np.testing.assert_array_equal(found, np.broadcast_to([4, 5, 6, 7], (1, 4, 4)))
    found = fit_size(gradient(4, 12), (2, 2), "crop")  # half the size: means of two
    np.testing.assert_array_equal(found, np.broadcast_to([4.5, 6.5], (1, 2, 2)))


def test_pad_keeps_everything_and_repeats_the_border() -> None:
    found = fit_size(gradient(4, 12), (12, 12), "pad")
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(12), (1, 12, 12)))


def test_stretch_keeps_everything_and_no_proportions() -> None:
    found = fit_size(gradient(4, 12), (8, 12), "stretch")
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(12), (1, 8, 12)))


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (7, 7), (200, 200)])
def test_every_size_becomes_every_other_within_its_values(how: Fit, size: tuple[int, int]) -> None:
    pixels = images(1, 3, 13, 29)[0]
    found = fit_size(pixels, size, how)
    assert found.shape == (3, *size)
    assert found.dtype == np.float32
    assert pixels.min() <= found.min() <= found.max() <= pixels.max()
    assert fit_size(pixels, (13, 29), how) is pixels


EXIF_TURNED = Image.Exif()
EXIF_TURNED[0x0112] = 6
(COLOURS,) = images(1, 5, 7, 3)
DEEP = images(1, 5, 7)[0].astype(np.uint16) * 257
FORMS: dict[str, tuple[np.ndarray, str | None, str, dict[str, Any]]] = {
    "gray": (COLOURS[..., 0], None, "png", {}),
    "gray-alpha": (COLOURS, "LA", "png", {}),
    "rgb": (COLOURS, None, "webp", {}),
    "rgba": (COLOURS, "RGBA", "tiff", {}),
    "bits": (COLOURS, "1", "png", {}),
    "a palette": (COLOURS, "P", "gif", {}),
    "a palette with transparency": (COLOURS, "P", "png", {"transparency": 3}),
    "a transparent colour": (COLOURS, None, "png", {"transparency": (1, 2, 3)}),
    "CMYK, JPEG": (COLOURS, "CMYK", "jpg", {}),
    "CMYK, TIFF": (COLOURS, "CMYK", "tiff", {}),
    "LAB": (COLOURS, "LAB", "tiff", {}),
    "16 bits, PNG": (DEEP, None, "png", {}),
    "16 bits, PGM": (DEEP, None, "pgm", {}),
    "16 bits, big-endian TIFF": (DEEP.astype(">u2"), None, "tiff", {}),
    "floats": (np.float32(DEEP) / 7, None, "tiff", {}),
    "turned, JPEG": (COLOURS, None, "jpg", {"exif": EXIF_TURNED}),
    "turned, PNG": (COLOURS, None, "png", {"exif": EXIF_TURNED}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_header_says_what_is_decoded(tmp_path: Path, form: str) -> None:
    pixels, mode, suffix, options = FORMS[form]
    image = Image.fromarray(pixels)
    path = tmp_path / f"a.{suffix}"
    (image if mode is None else image.convert(mode)).save(path, **options)
    found, decoded = header(path), decode(path)
    assert (found.channels, *found.size) == decoded.shape
    assert found.dtype == decoded.dtype
    assert decoded.shape[1:] == ((7, 5) if "turned" in form else (5, 7))
    assert decoded.dtype.isnative
    if "16 bits" in form:
        np.testing.assert_array_equal(decoded, DEEP[None], strict=True)
    if "CMYK" in form:
        np.testing.assert_allclose(np.moveaxis(decoded, 0, 2).mean(), COLOURS.mean(), atol=12)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_no_pixel_is_decoded_for_a_header(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / f"a.{suffix}", COLOURS)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    assert header(path).size == (5, 7)
    path.write_bytes(b"no image at all")
    assert error_of(header, path).startswith(f"{path}: expected an image, found cannot identify")


def test_a_transparent_colour_lies_over_white(tmp_path: Path) -> None:
    pixels = np.array([[[1, 2, 3], [200, 100, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(1, 2, 3))
    found = np.moveaxis(decode(tmp_path / "a.png"), 0, 2)
    np.testing.assert_array_equal(found, [[[255, 255, 255], [200, 100, 0]]])
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png", transparency=1)
    np.testing.assert_array_equal(decode(tmp_path / "b.png"), [[[255, 200]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.png", True), ("a.JPG", True), ("a.webp", True), ("Thumbs.db", False)]
    + [(name, False) for name in ("a", "README.txt", "a.pdf", "a.h5", "a.mpg", "a.npz")],
)
def test_the_suffixes_of_images(name: str, expected: bool) -> None:
    assert has_image_suffix(Path(name)) is expected


def test_threads_that_decode_leave_the_filters_of_warnings_as_they_were(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", COLOURS)
    before = [*warnings.filters]
    inside, leave = threading.Barrier(3, timeout=20), threading.Event()

    def hold(_: int) -> None:
        with images_module._quietly(Image):
            inside.wait()
            leave.wait(20)

    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(hold, number) for number in range(2)]
        inside.wait()
        assert warnings.filters[0][2].__name__ == "DecompressionBombWarning"
        decode(path)  # in the middle, and after it the others are still quiet
        assert warnings.filters[0][2].__name__ == "DecompressionBombWarning"
        leave.set()
        for future in held:
            future.result()
        list(pool.map(decode, [path] * 50))
    assert [*warnings.filters] == before
