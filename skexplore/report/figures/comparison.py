"""From the table of a comparison to its plotly figure: how low the error of each group is after so many images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from skexplore.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    empty,
    percent,
    span,
    text_of,
)

STYLES = (
    (BLUE, "solid"),
    (VERMILION, "dash"),
    (GREEN, "dashdot"),
    (PURPLE, "longdash"),
    (ORANGE, "dot"),
)  # in turn
SHADE = 0.16  # opacity of a band


def curves_figure(curves: pd.DataFrame, groups: Mapping[str, str], *, images: int) -> go.Figure:
    """Return the error of the block that a search would name over the images that a search has trained on.

    curves: ``repeats.Compared.curves``. groups: label and its words in the legend, in order. images: up to which
    the groups are compared; single searches are drawn whole, as thin lines.
    """
    figure = empty("Images trained on by the search", "Error of the named block, %")
    errors = [100 * error for error in curves["best_val_error"]]
    figure.update_yaxes(range=span(errors, least=1.0) if errors else [0.0, 100.0])
    figure.update_xaxes(rangemode="tozero", tickformat=",")
    for number, (label, words) in enumerate(groups.items()):
        rows = curves[curves["group"] == label]
        color, dash = STYLES[number % len(STYLES)]
        own, whole = rows[rows["study"] == ""], rows[rows["study"] != ""]
        _add_band(figure, own, color, label)
        _add_studies(figure, whole, color, label)
        figure.add_scatter(
            x=[*own["images"]],
            y=percent(own["best_val_error"]),
            mode="lines",
            name=text_of(words),
            legendgroup=label,
            line={"color": color, "width": 2.6, "dash": dash, "shape": "hv"},
            hovertemplate=f"{text_of(label)}: %{{y:.2f}} %<br>%{{x:,}} images<extra></extra>",
        )
    figure.add_vline(x=images, line={"color": GREY, "width": 1.4, "dash": "dash"})
    place = {
        "x": images,
        "xanchor": "right",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
    }
    figure.add_annotation(**place, text=f"equal images: {images:,}", font={"size": 11})
    return figure


def _add_band(figure: go.Figure, rows: pd.DataFrame, color: str, label: str) -> None:
    if (rows["low"] == rows["high"]).all():
        return
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    fill = {"fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},{SHADE})"}
    for name, more in (("low", {}), ("high", fill)):
        places = {"x": [*rows["images"]], "y": percent(rows[name])}
        figure.add_scatter(**places, **edge, **more, legendgroup=label, showlegend=False)


def _add_studies(figure: go.Figure, rows: pd.DataFrame, color: str, label: str) -> None:
    """Draw every search of a group as one trace with gaps: plotly is slow with many traces."""
    x: list[int | None] = []
    y: list[float | None] = []
    for _, steps in rows.groupby("study", sort=False):
        x += [*steps["images"], None]
        y += [*percent(steps["best_val_error"]), None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": color, "width": 1, "shape": "hv"},
        opacity=0.55,
        hoverinfo="skip",
        legendgroup=label,
        showlegend=False,
    )
