"""From tables to the plotly figures of a search's course: incumbents, learning curves, importances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from skexplore.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    VERMILION,
    Bar,
    add_bar,
    empty,
    error_span,
    overlay,
    percent,
    text_of,
    thinned,
)

Over = Literal["images", "trained"]
OVER = {"images": "Images trained on by the search", "trained": "Trainings of the search"}
TIMES = (("Days", 86_400), ("Hours", 3_600), ("Minutes", 60))
ANCHOR_DASHES = ("dot", "dash", "dashdot", "longdash")


def incumbent_figure(
    incumbent: pd.DataFrame,
    anchors: pd.DataFrame,
    *,
    x: Over,
    bar: Bar | None,
    own: str = "",
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> go.Figure:
    """Return the estimated error of the block that the search would name, over images trained on or over trainings.

    incumbent: ``analysis.incumbent``; anchors: ``analysis.anchors_table``, drawn as lines at their means. own: the
    name of the study. beside: the incumbents of other studies by name.
    """
    figure = empty(OVER[x], "Validation error, %")
    others = beside or {}
    errors = pd.concat([incumbent["val_error"], *(other["best_val_error"] for other in others.values())])
    figure.update_yaxes(range=error_span(errors.dropna(), anchors, bar))
    figure.update_xaxes(rangemode="tozero")
    end = max([0, *incumbent[x], *(last for other in others.values() for last in other[x][-1:])])
    for number, row in enumerate(anchors.to_dict("records")):
        name = f"{text_of(row['name'])}, mean of {row['n']}: {100 * row['mean']:.2f} %"
        figure.add_scatter(
            x=[0, end],
            y=[100 * row["mean"]] * 2,
            mode="lines",
            line={"color": VERMILION, "width": 1.4, "dash": ANCHOR_DASHES[number % len(ANCHOR_DASHES)]},
            name=name,
            showlegend=number < len(ANCHOR_DASHES),  # more would fill the plot; they stay on hover
            hovertemplate=f"{name}<extra></extra>",
        )
    for number, (title, other) in enumerate(others.items()):
        _add_best(figure, other, x, f"named by {text_of(title)}", {"width": 2, **overlay(number)})
    title = f"named by {text_of(own)}" if others else "block it would name"
    _add_best(figure, incumbent, x, title, {"color": BLUE, "width": 2.6})
    if bar:
        add_bar(figure, bar, end)
    shown, name = thinned(incumbent, "trainings")
    figure.add_scatter(
        x=[*shown[x]],
        y=percent(shown["val_error"]),
        mode="markers",
        name=name,
        marker={"symbol": "circle-open", "size": 8, "color": GREY, "line": {"width": 1.4}},
        customdata=[int(position) for position in shown["position"]],
        hoverinfo="none",
    )
    return figure


def _add_best(figure: go.Figure, incumbent: pd.DataFrame, x: str, name: str, line: Mapping[str, Any]) -> None:
    unit = "images" if x == "images" else "trainings"
    figure.add_scatter(
        x=[*incumbent[x]],
        y=percent(incumbent["best_val_error"]),
        mode="lines",
        line={**line, "shape": "hv"},
        name=name,
        hovertemplate=f"{name} %{{y:.2f}} %<br>%{{x:,}} {unit}<extra></extra>",
    )


def curves_figure(curves: pd.DataFrame, front: Sequence[int], *, bar: Bar | None) -> go.Figure:
    """Return validation error per epoch, one line per trained record, the front emphasised.

    curves: ``analysis.curves_table``; front: positions of the front in the table of trials.
    """
    figure = empty("Epoch", "Validation error, %")
    anchor = curves["origin"] == "anchor"
    chosen = ~anchor & curves["position"].isin(front)
    complete = curves["status"] == "complete"
    thin = {"color": GREY, "width": 1.2}
    for name, rows, line, symbol in (
        ("complete", curves[~anchor & ~chosen & complete], thin, "circle-open"),
        ("not complete", curves[~anchor & ~chosen & ~complete], {**thin, "dash": "dot"}, "x"),
        ("anchors", curves[anchor], {**thin, "color": VERMILION}, "diamond"),
        ("Pareto front", curves[chosen], {"color": BLUE, "width": 2.6}, "circle"),
    ):
        if not rows.empty:
            figure.add_trace(_lines(rows, name, line, symbol))
    if bar:
        add_bar(figure, bar, curves["epoch"].max())
    figure.update_xaxes(dtick=1 if curves["epoch"].max() <= 12 else None)
    return figure


def _lines(rows: pd.DataFrame, name: str, line: Mapping[str, Any], symbol: str) -> go.Scatter:
    """Return one trace for many curves, with gaps between them: plotly is slow with many traces."""
    epochs: list[int | None] = []
    errors: list[float | None] = []
    positions: list[int] = []
    for position, curve in rows.groupby("position", sort=False):
        epochs += [*curve["epoch"], None]
        errors += [*percent(curve["val_error"]), None]
        positions += [int(str(position))] * (len(curve) + 1)
    return go.Scatter(
        x=epochs,
        y=errors,
        customdata=positions,
        name=name,
        mode="lines+markers",
        line=line,
        marker={"size": 5, "symbol": symbol},
        hoverinfo="none",
    )


def timeline_figure(timeline: pd.DataFrame) -> go.Figure:
    """Return when each training ran, a bar each, in lanes of what ran side by side.

    timeline: ``analysis.timeline_table``.
    """
    figure = empty("", "Side by side")
    end = (timeline["begin"] + timeline["seconds"]).max()
    unit, seconds = next((each for each in TIMES if end >= 2 * each[1]), TIMES[-1])
    anchor = timeline["origin"] == "anchor"
    again = timeline["origin"] == "replicate"
    complete = timeline["status"] == "complete"
    for name, rows, color in (
        ("anchors", timeline[anchor], VERMILION),
        ("complete", timeline[~anchor & ~again & complete], BLUE),
        ("leaders again", timeline[again], GREEN),
        ("not complete", timeline[~anchor & ~again & ~complete], GREY),
    ):
        if not rows.empty:
            figure.add_bar(
                orientation="h",
                x=[*(rows["seconds"] / seconds)],
                base=[*(rows["begin"] / seconds)],
                y=[*rows["lane"]],
                name=name,
                marker={"color": color, "line": {"width": 1, "color": "rgba(255,255,255,0.6)"}},
                customdata=[int(position) for position in rows["position"]],
                hoverinfo="none",
            )
    figure.update_xaxes(title_text=f"{unit} since the first training began", rangemode="tozero")
    lanes = timeline["lane"].max() if len(timeline) else 1
    figure.update_yaxes(range=[lanes + 0.6, 0.4], tickvals=[], showgrid=False)
    above = {"x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "orientation": "h"}
    figure.update_layout(barmode="overlay", bargap=0.35, margin={"t": 40}, legend=above)
    return figure


def importance_figure(shares: Sequence[tuple[str, float]], clear: Sequence[str]) -> go.Figure:
    """Return the shares 0..1 of decisions in what makes a trial good, as bars, the greatest on top.

    clear: decisions that chance does not explain; the others are grey.
    """
    figure = empty("Share of importance, %", "")
    ordered = shares[::-1]
    figure.add_bar(
        x=[100 * share for _, share in ordered],
        y=[text_of(name) for name, _ in ordered],
        orientation="h",
        marker={"color": [BLUE if name in clear else GREY for name, _ in ordered]},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(rangemode="tozero")
    return figure
