"""Which images a network got right, one bit each: what a test over images, such as McNemar's, needs of two networks."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray


def pack(right: NDArray[np.bool_]) -> str:
    """Return ``right``, one truth for each image, as text: base64 of bits, the first image in the highest one."""
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def unpack(text: str, images: int) -> NDArray[np.bool_]:
    """Return what ``pack`` was given for so many ``images``."""
    bits = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(bits, count=images).astype(np.bool_)
