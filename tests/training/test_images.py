"""Crops of photographs, and what an unreadable folder or image is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcnbench.errors import BadInput
from mcnbench.images import MEAN, crops


def draw(count: int, size: tuple[int, int, int], folder: Path | None = None, seed: int = 0) -> np.ndarray:
    return crops(count, size, np.random.default_rng(seed), None if folder is None else str(folder))


def test_crops_of_the_photograph_that_comes_along() -> None:
    x = draw(6, (3, 61, 40))
    assert x.shape == (6, 3, 61, 40)
    assert x.dtype == np.float32
    pixels = x + MEAN[:, None, None]
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    assert pixels.std() > 30, "a photograph has light and shade"
    assert len({image.tobytes() for image in x}) == 6, "each crop is another one"
    assert np.array_equal(x, draw(6, (3, 61, 40)))
    assert not np.array_equal(x, draw(6, (3, 61, 40), seed=1))


def test_crops_of_a_folder_keep_place_and_colour(tmp_path: Path) -> None:
    """A picture whose red is its row and whose green is its column: a crop is a piece of it, perhaps mirrored."""
    rows, columns = np.mgrid[:40, :40].astype(np.uint8) * 5
    Image.fromarray(np.stack((rows, columns, np.full_like(rows, 7)), -1)).save(tmp_path / "ramp.png")
    (tmp_path / "notes.txt").write_text("not an image")
    directions = set()
    for image in draw(20, (3, 10, 10), tmp_path) + MEAN[:, None, None]:
        red, green, blue = image
        assert np.allclose(blue, 7)
        assert np.allclose(red, red[:, :1], atol=1), "rows stay rows"
        assert red[-1, 0] > red[0, 0], "never upside down"
        assert np.allclose(green, green[:1], atol=1)
        directions.add(green[0, -1] > green[0, 0])
    assert directions == {True, False}, "half of them are mirrored"


def test_other_numbers_of_channels_repeat_the_colours() -> None:
    colours = draw(2, (3, 9, 9))
    assert np.array_equal(draw(2, (5, 9, 9)), colours[:, [0, 1, 2, 0, 1]])


def test_images_smaller_than_the_input_are_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4), (10, 20, 30)).save(tmp_path / "small.png")
    assert np.allclose(draw(1, (3, 16, 16), tmp_path)[0, 0] + MEAN[0], 10)


def test_unreadable_folders_and_images(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"image folder '.*none' cannot be read: No such file or directory"):
        draw(1, (3, 8, 8), tmp_path / "none")
    with pytest.raises(BadInput, match="has no image whose kind the file name tells"):
        draw(1, (3, 8, 8), tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"GIF8 no, not even that")
    with pytest.raises(BadInput, match=r"image '.*broken.jpg' is not an image, or of an unknown kind"):
        draw(1, (3, 8, 8), tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "broken.jpg")
    whole = (tmp_path / "broken.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"image '.*broken.jpg' cannot be read: .*truncated"):
        draw(1, (3, 8, 8), tmp_path)
