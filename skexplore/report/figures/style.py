"""What all figures share: palette, axes, ranges and texts. Errors are drawn in %, costs in 10^9 and 10^6.

Colours are near those of Okabe and Ito, moved until each has a contrast of 3 on the light page and on the dark one and
all stay apart for colour-blind readers too; and each kind of point has its own symbol. Backgrounds are transparent and
text has no colour of its own: the page gives both.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

BLUE, VERMILION, PURPLE = "#0072B2", "#C55300", "#C87AB6"  # the page brightens BLUE in the dark
GREEN, ORANGE, GREY = "#009E73", "#CD8500", "#7E868D"
_OVERLAYS = ((ORANGE, PURPLE, GREEN), ("dot", "dash", "dashdot"))
GRID = "rgba(128,135,144,0.22)"
MOST = 1500  # points of one trace: a browser is slow with more
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The errors, from the ``best`` to ``reach`` above it, whose distance to it seed noise explains; fractions 0..1."""

    best: float
    reach: float


def overlay(number: int) -> dict[str, str]:
    """Return colour and dashes of the line of a study drawn over: nine before one comes again."""
    colors, dashes = _OVERLAYS
    return {"color": colors[number % 3], "dash": dashes[(number + number // 3) % 3]}


def empty(x_title: str, y_title: str) -> go.Figure:
    """Return a figure with axes and the common layout, no data."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GREY, "ticks": "outside", "tickcolor": GREY}
    titles = [{"text": title, "standoff": 8, "font": {"size": 13}} for title in (x_title, y_title)]
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13},
            "margin": {"l": 56, "r": 16, "t": 28, "b": 48},
            "showlegend": True,  # also for a single trace
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
            "hoverlabel": {"align": "left"},
            "hovermode": "closest",
            "dragmode": False,
            "xaxis": {**axis, "title": titles[0], "showline": True},
            "yaxis": {**axis, "title": titles[1], "automargin": True},
        }
    )


def span(values: Sequence[float], *, least: float = 0.1, low: float = 0.08) -> list[float]:
    """Return an axis range around ``values`` with a margin (``low`` of it below), at least ``least`` wide."""
    if not values:
        return [0.0, 1.0]
    start, end = min(values), max(values)
    slack = max(least - (end - start), 0) / 2
    width = end - start + 2 * slack
    return [start - slack - low * width, end + slack + 0.08 * width]


def error_span(
    errors: pd.Series, anchors: pd.DataFrame, bar: Bar | None, *, low: float = 0.08
) -> list[float]:
    """Return the range in % of an axis that holds ``errors`` (fractions), the anchors' spread and the noise."""
    both = [*errors, *anchors["min"], *anchors["max"], *([bar.best + bar.reach] if bar else [])]
    return span([100 * error for error in both], least=1.0, low=low) if both else [0.0, 100.0]


def add_bar(figure: go.Figure, bar: Bar, x: float) -> None:
    """Draw the noise above the best at ``x`` as a bar with caps."""
    ends = [100 * bar.best, 100 * (bar.best + bar.reach)]
    figure.add_scatter(
        x=[x, x],
        y=ends,
        mode="lines+markers",
        line={"color": GREEN, "width": 2},
        marker={"symbol": "line-ew", "size": 12, "line": {"width": 2, "color": GREEN}},
        name="within seed noise of the lowest",
        meta="noise",
        hovertemplate=f"within seed noise of the lowest: {ends[0]:.2f} to {ends[1]:.2f} %<extra></extra>",
    )


def thinned(rows: pd.DataFrame, name: str) -> tuple[pd.DataFrame, str]:
    """Return at most ``MOST`` of ``rows``, evenly spaced, and ``name`` with a word on what is left out."""
    step = -(-len(rows) // MOST)
    return (rows, name) if step <= 1 else (rows.iloc[::step], f"{name} (1 in {step} drawn)")


def percent(values: pd.Series) -> list[float | None]:
    """Return fractions in %, None where a value is missing."""
    return [None if pd.isna(value) else 100 * float(value) for value in values]


def text_of(value: object) -> str:
    """Return ``value`` as text that plotly does not read as its markup."""
    return html.escape(str(value), quote=False)


def wrapped(block: object) -> str:
    """Return a block's notation, one stage on a line, so that a long one fits a small screen."""
    return text_of(block).replace(";", ";<br>")
