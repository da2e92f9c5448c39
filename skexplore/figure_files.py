"""How figures leave: the script that draws them in a page, and pictures for READMEs."""

from __future__ import annotations

import importlib.util
import logging
import re

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from skexplore.errors import UserError

_RANDOM_ID = re.compile(r"\b(clip|topdefs-|defs-|legend|trace)([0-9a-f]{6})")  # plotly.js draws them anew


def plotly_js() -> str:
    """Return the source of plotly.js, to be put into a page once."""
    return str(get_plotlyjs())


def to_svg(figure: go.Figure, *, width: int, height: int) -> str:
    """Return ``figure`` as SVG text, equal for equal figures; sizes in pixels.

    Needs the package kaleido and a Chromium; a ``UserError`` names what is missing.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise UserError("pictures need the package kaleido: pip install 'skexplore[picture]'")
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)  # it logs its own shutdown as an error
    still = go.Figure(figure)
    still.update_layout(font_color="#6e7781")  # legible on the white and on the dark page of a code host
    try:
        text = str(still.to_image(format="svg", width=width, height=height).decode())
    except Exception as error:  # kaleido's and its browser driver's errors share no base class
        raise UserError(f"the picture could not be drawn (is a Chromium installed?): {error}") from error
    ids = [found[1] for found in _RANDOM_ID.findall(text)]
    known = {name: f"{number:06d}" for number, name in enumerate(dict.fromkeys(ids))}
    return _RANDOM_ID.sub(lambda found: found[1] + known[found[2]], text)
