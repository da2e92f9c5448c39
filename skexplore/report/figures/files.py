"""How figures leave: the script that draws them in a page, and pictures for READMEs."""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from skexplore.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_RANDOM_ID = re.compile(r"\b(clip|topdefs-|defs-|legend|trace)([0-9a-f]{6})")  # plotly.js draws them anew


def plotly_js() -> str:
    """Return the source of plotly.js, to be put into a page once."""
    return str(get_plotlyjs())


def can_draw() -> bool:
    """Return whether pictures can be drawn here: kaleido and a browser that it finds are installed."""
    return importlib.util.find_spec("kaleido") is not None and any(map(shutil.which, BROWSERS))


def to_picture(figure: go.Figure, kind: str, *, width: int, height: int) -> bytes:
    """Return ``figure`` as a picture; kind: ``svg`` (equal for equal figures) or ``png``; sizes in pixels.

    Needs the package kaleido and a Chromium; a ``UserError`` names what is missing.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise UserError("pictures need the package kaleido: pip install 'skexplore[picture]'")
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)  # it logs its own shutdown as an error
    still = go.Figure(figure)
    still.update_layout(font_color="#6e7781")  # legible on the white and on the dark page of a code host
    try:
        content = bytes(
            still.to_image(format=kind, width=width, height=height, scale=1 if kind == "svg" else 2)
        )
    except Exception as error:  # kaleido's and its browser driver's errors share no base class
        raise UserError(f"the picture could not be drawn (is a Chromium installed?): {error}") from error
    if kind != "svg":
        return content
    text = content.decode()
    ids = [found[1] for found in _RANDOM_ID.findall(text)]
    known = {name: f"{number:06d}" for number, name in enumerate(dict.fromkeys(ids))}
    return _RANDOM_ID.sub(lambda found: found[1] + known[found[2]], text).encode()
