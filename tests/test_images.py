"""Image files become arrays (C, H, W); what is no image is an error of one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_cases import error_of, images

from convkit.images import decode

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
