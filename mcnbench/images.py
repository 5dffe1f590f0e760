"""Images to train on: crops of real photographs, so that activations are as sparse and as varied as in earnest.

A crop is a square of random size and place, mirrored or not, scaled to the network's input; values 0 to 255 less the
mean colour of ImageNet, float32 (N, C, H, W).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mcnbench.arrays import Array, Shape
from mcnbench.errors import BadInput

MEAN = np.array((123.68, 116.779, 103.939), np.float32)  # red, green, blue (Simonyan and Zisserman's models)


def crops(count: int, size: Shape, rng: np.random.Generator, folder: str | None = None) -> Array:
    """`count` crops of size (C, H, W) from the images in `folder`, else from the photograph that comes with matplotlib.

    C = 3 gives red, green and blue, another C repeats them. Raises BadInput for a folder or image that is unreadable.
    """
    paths = [photograph()] if folder is None else _pictures(Path(folder))
    channels, height, width = size
    chosen = rng.integers(len(paths), size=count)
    opened = {i: _read(paths[i]) for i in np.unique(chosen)}
    x = np.empty((count, *size), np.float32)
    for crop, i in zip(x, chosen, strict=True):
        image = opened[i]
        side = rng.integers(min(height, width, *image.size), min(image.size), endpoint=True)
        left, top = rng.integers(image.width - side, endpoint=True), rng.integers(image.height - side, endpoint=True)
        box = (int(left), int(top), int(left + side), int(top + side))
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box), np.float32) - MEAN
        crop[:] = pixels[:, :: rng.choice((1, -1)), np.arange(channels) % 3].transpose(2, 0, 1)
    return x


def photograph() -> Path:
    """Grace Hopper's portrait, one of matplotlib's sample data (US Navy, public domain)."""
    spec = find_spec("matplotlib")
    found = Path(spec.origin or "").parent / "mpl-data" / "sample_data" / "grace_hopper.jpg" if spec else None
    if found is None or not found.is_file():
        raise BadInput(
            "matplotlib's sample photograph grace_hopper.jpg is missing here; give a folder of images (--images)"
        )
    return found


def _pictures(folder: Path) -> list[Path]:
    kinds = Image.registered_extensions()
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds)
    except OSError as error:
        raise BadInput(f"image folder '{folder}' cannot be read: {error.strerror}") from error
    if not found:
        raise BadInput(f"image folder '{folder}' has no image whose kind the file name tells, such as .jpg or .png")
    return found


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise BadInput(f"image '{path}' is not an image, or of an unknown kind; mend it or take it out") from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"image '{path}' cannot be read: {error}; mend it or take it out") from error
