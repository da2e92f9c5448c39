"""From an opened image file to pixels of one kind, whatever the file holds."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
BROKEN = (OSError, ValueError, SyntaxError, TypeError, OverflowError, Image.DecompressionBombError)


def plain_image(image: Image.Image) -> Image.Image:
    """Return ``image`` upright, with 8 bits a channel, grey or in colours, and on white where it is transparent.

    Raises one of ``BROKEN`` for pixels that cannot be decoded or whose range nobody knows.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("pixels are floats, whose range nobody knows; save them as 8 or 16 bits")
    if image.mode in DEEP_MODES:
        pixels = np.asarray(image).astype(np.int64)
        if pixels.min() < 0 or pixels.max() >= 2**16:
            raise ValueError("pixels beyond 16 bits; save them as 8 or 16 bits")
        return Image.fromarray((pixels >> 8).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    colours = image.convert("RGB")
    red, green, blue = (np.asarray(channel) for channel in colours.split())
    return colours.convert("L") if (red == green).all() and (green == blue).all() else colours
