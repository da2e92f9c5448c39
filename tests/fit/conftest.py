"""Small sets of images, made here, and trainings of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def photographs(folder: Path, count: int, *, side: tuple[int, int] = (52, 40)) -> Path:
    """Write ``count`` small JPEGs in three classes, each a colour with noise on it, a fifth of them to test."""
    generator = np.random.default_rng(0)
    for number in range(count):
        label = number % 3
        part = "test" if number % 5 == 4 else "train"
        place = folder / part / ("red", "green", "blue")[label]
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 120, (side[1], side[0], 3), np.uint8)
        pixels[..., label] += 90
        Image.fromarray(pixels).save(place / f"{number:03}.jpg", quality=90)
    return folder


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """A folder of 300 JPEGs, and a cache of one's own."""
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    return photographs(tmp_path / "flowers", 300)


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """An ``.npz`` of 240 synthetic images of 32 pixels in four classes that differ in brightness."""
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 4
    images = generator.integers(0, 180, (240, 32, 32, 3)) + 25 * labels[:, None, None, None]
    path = tmp_path / "shades.npz"
    np.savez(path, train_images=images[:200].astype(np.uint8), train_labels=labels[:200],
             test_images=images[200:].astype(np.uint8), test_labels=labels[200:])  # fmt: skip
    return path
