"""From tables to the plotly figures of a front: pure functions.

A trace of trials carries no text: ``customdata`` is the position of each row in the table of trials, and the page
shows what stands there, over the axes that its reader chooses. Anchors and published rows, which stand for more than
one row, bring their own text. ``meta`` says what else a trace is: the page draws it anew or leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from skexplore.arch import FlopsUnit
from skexplore.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILION,
    Bar,
    add_bar,
    empty,
    error_span,
    overlay,
    percent,
    span,
    text_of,
    thinned,
    wrapped,
)

FAR = 1.25  # ticks of refused proposals beyond this multiple of all that was trained are not drawn
_SYMBOLS = {3: ("square-open", 15), 4: ("circle-open", 12), 6: ("diamond-open", 13), 7: ("circle-open", 9)}
NAMED_ANCHORS = 4  # more names than this would cover the points; they stay on hover

PLOT, LETTER = (620, 400), 7  # a usual plot's sides and a letter's, in pixels

Size = Literal["ref_macs", "ref_params"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Another study in the same axes. front: its front, the columns of ``trials.csv``."""

    name: str
    front: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A front in the table of trials, as positions there: all of it by size, and the knee."""

    rows: tuple[int, ...]
    knee: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """A cost axis: the column it shows, in multiples of ``unit``; flops: that of multiply-adds."""

    column: Size
    title: str
    unit: float
    short: str
    flops: FlopsUnit

    def of(self, rows: pd.DataFrame) -> list[float]:
        return [value / self.unit for value in rows[self.column]]


def _axis(column: Size, flops: FlopsUnit) -> _Axis:
    if column == "ref_params":
        return _Axis(column=column, title="Reference #P, millions", unit=1e6, short="M", flops=flops)
    title = f"Reference cost, {flops.name}"
    return _Axis(column=column, title=title, unit=flops.scale, short=flops.name, flops=flops)


def pareto_figure(
    trials: pd.DataFrame,
    front: Front,
    anchors: pd.DataFrame,
    *,
    x: Size,
    budget: float | None,
    bar: Bar | None,
    unit: FlopsUnit,
    own: str = "",
    beside: Sequence[Overlay] = (),
) -> go.Figure:
    """Return validation error against a reference cost, of complete trials as it is estimated.

    trials: the columns of ``trials.csv``; anchors: ``analysis.anchors_table``. budget in the unit of ``x``
    (multiply-adds or parameters), None if there is none; bar: None if noise or best are not known. unit: of
    multiply-adds. own: the name of the study. beside: fronts of other studies.
    """
    axis, trials = _axis(x, unit), _shown(trials)
    others = [replace(other, front=_shown(other.front)) for other in beside]
    figure = empty(axis.title, "Validation error, %")
    best, search = trials.loc[list(front.rows)], trials[trials["origin"] == "search"]
    measured = search[search["val_error"].notna() & search["status"].isin(["complete", "stopped"])]
    limit = [] if budget is None else [budget / axis.unit]
    seen = search[search["status"] != "over_budget"]
    more = [size for other in others for size in axis.of(other.front)]
    ends = span([*axis.of(seen), *axis.of(anchors), *more, *limit] or axis.of(search))
    ends_of = [best[name].dropna() for name in ("low", "high")]
    errors = pd.concat([measured["shown"], *ends_of, *(other.front["shown"] for other in others)])
    figure.update_yaxes(range=error_span(errors, anchors, bar, low=0.14))
    for number, other in enumerate(others):
        _add_overlay(figure, axis, other, number, limit[0] if limit else ends[1])
    _add_staircase(figure, axis, best, limit[0] if limit else ends[1])
    rest = measured[~measured.index.isin(front.rows)]
    for status, name, marker in (
        ("complete", "complete", {"symbol": "circle-open", "size": 9, "color": BLUE, "line": {"width": 1.6}}),
        ("stopped", "stopped early", {"symbol": "x-thin", "size": 8, "line": {"width": 1.6, "color": GREY}}),
    ):
        _add_trials(figure, axis, rest[rest["status"] == status], name, marker, meta=status)
    sure = bool(best["high"].notna().any())
    title = f"front of {text_of(own)}" if beside else "Pareto front"
    title += ", 90 % intervals" if sure else ""
    intervals = _intervals(best) if sure else {}
    _add_trials(figure, axis, best, title, {"size": 11, "color": BLUE}, meta="front", **intervals)
    if bar:
        add_bar(figure, bar, axis.of(best.nsmallest(1, "shown"))[0])
    _add_knee(figure, axis, trials, front)
    stairs = _stairs(axis, best, limit[0] if limit else ends[1])
    _add_ticks(figure, axis, search, ends)  # which may widen the axis, before names are placed in it
    _add_anchors(figure, axis, anchors, trials, figure.layout.xaxis.range, stairs)
    for at in limit:
        _add_budget(figure, at, f"budget {at:g} {axis.short}", right=at > sum(ends) / 2)
    return figure


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``rows`` with the error at which each is drawn: the estimate of a complete trial, else as measured."""
    estimate = rows["estimate"].where(rows["status"] == "complete")
    return rows.assign(shown=estimate.fillna(rows["val_error"]))


def _intervals(rows: pd.DataFrame) -> dict[str, Any]:
    above, below = percent(rows["high"] - rows["shown"]), percent(rows["shown"] - rows["low"])
    return {"error_y": {"array": above, "arrayminus": below, "thickness": 1.4, "width": 4, "color": BLUE}}


def placement_figure(
    published: pd.DataFrame, trials: pd.DataFrame, front: Front, unit: FlopsUnit
) -> go.Figure:
    """Return trained blocks among the published rows over #P and multiply-adds, both our count at the reference.

    published: ``analysis.published_table``; trials: the columns of ``trials.csv``. No errors here.
    """
    across, up = _axis("ref_params", unit), _axis("ref_macs", unit)
    figure = empty(across.title, up.title)
    search = trials[(trials["origin"] == "search") & trials["status"].isin(["complete", "stopped"])]
    others = search[~search.index.isin(front.rows)]
    dot, cross = (
        {"size": 8, "color": BLUE},
        {"symbol": "x-thin", "size": 8, "line": {"width": 1.8, "color": BLUE}},
    )
    for name, rows, marker in (
        ("trained", others, cross),
        ("Pareto front", trials.loc[list(front.rows)], dot),
    ):
        _add_trials(figure, across, rows, name, marker, up.of)
    for table in published["table"].unique():
        rows, (symbol, size) = published[published["table"] == table], _SYMBOLS[table]
        spots = rows.groupby(["ref_params", "ref_macs"], sort=True)["name"].agg("\n".join)
        figure.add_scatter(
            x=[params / 1e6 for params, _ in spots.index],
            y=[macs / unit.scale for _, macs in spots.index],
            mode="markers",
            name=f"Table {table}",
            marker={"symbol": symbol, "size": size, "color": GREY, "line": {"width": 1.6}},
            text=[text_of(names).replace("\n", "<br>") for names in spots],
            hovertemplate=f"Table {table}<br>%{{text}}<br>%{{x:.2f}} M, %{{y:.3f}} {unit.name}<extra></extra>",
        )
    return figure


def _add_budget(figure: go.Figure, at: float, text: str, *, right: bool) -> None:
    figure.add_vline(x=at, line={"color": GREY, "width": 1.6, "dash": "dash"})
    side = "right" if right else "left"
    figure.add_annotation(x=at, xanchor=side, y=1, yref="paper", yanchor="bottom", text=text, showarrow=False)


def _stairs(axis: _Axis, front: pd.DataFrame, end: float) -> tuple[list[float], list[float | None]]:
    """Return the corners of what a front leaves below it; without a front one without a place."""
    sizes, errors = axis.of(front), percent(front["shown"])
    return [*sizes, max([end, *sizes])], [*errors, *(errors[-1:] or [None])]


def _add_staircase(figure: go.Figure, axis: _Axis, front: pd.DataFrame, end: float) -> None:
    x, y = _stairs(axis, front, end)  # even an empty one: plotly draws no error axis that holds nothing
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, meta="stairs")


def _add_overlay(figure: go.Figure, axis: _Axis, other: Overlay, number: int, end: float) -> None:
    if other.front.empty:
        return
    x, y = _stairs(axis, other.front, end)
    name = text_of(other.name)
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=f"front of {name}",
        line={"width": 1.6, "shape": "hv", **overlay(number)},
        marker={"symbol": ["square"] * len(other.front) + ["line-ns"], "size": 8},
        text=[*(wrapped(block) for block in other.front["block"]), ""],
        hovertemplate=f"<b>%{{text}}</b><br>{name}<br>%{{y:.2f}} %<extra></extra>",
        meta="beside",
    )


def _add_knee(figure: go.Figure, axis: _Axis, trials: pd.DataFrame, front: Front) -> None:
    if front.knee is None:
        return
    row = trials.loc[[front.knee]]
    ring = {"symbol": "circle-open", "size": 19, "color": GREEN, "line": {"width": 2.2}}
    figure.add_scatter(
        x=axis.of(row),
        y=percent(row["shown"]),
        mode="markers",
        name="knee",
        marker=ring,
        hoverinfo="skip",
        meta="knee",
    )


def _add_trials(
    figure: go.Figure,
    axis: _Axis,
    rows: pd.DataFrame,
    name: str,
    marker: Mapping[str, Any],
    y: Callable[[pd.DataFrame], Sequence[float]] | None = None,
    **more: Any,
) -> None:
    """Add one trace of trials, at their errors or where ``y`` puts them."""
    if rows.empty:
        return
    rows, name = thinned(rows, name)
    figure.add_scatter(
        x=axis.of(rows),
        y=percent(rows["shown"]) if y is None else y(rows),
        mode="markers",
        name=name,
        marker=marker,
        customdata=[int(position) for position in rows.index],
        hoverinfo="none",
        **more,
    )


def _add_anchors(
    figure: go.Figure,
    axis: _Axis,
    anchors: pd.DataFrame,
    trials: pd.DataFrame,
    ends: Sequence[float],
    stairs: tuple[list[float], list[float | None]],
) -> None:
    if anchors.empty:
        return
    rows = anchors.to_dict("records")
    leader = {"standoff": 7, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": VERMILION, "font": {"size": 12}}
    sizes, means = axis.of(anchors), percent(anchors["mean"])
    above = [100 * (row["max"] - row["mean"]) for row in rows]
    below = [100 * (row["mean"] - row["min"]) for row in rows]
    own = trials[trials["origin"] == "anchor"]
    figure.add_scatter(
        x=sizes,
        y=means,
        error_y={"array": above, "arrayminus": below, "thickness": 1.6, "width": 5},
        mode="markers",
        name="anchors, range over seeds",
        marker={"symbol": "diamond", "size": 10, "color": VERMILION},
        text=[_anchor_text(row, axis.flops) for row in rows],
        customdata=[int(own.index[own["arch_id"] == row["arch_id"]][0]) for row in rows],
        hovertemplate="%{text}<extra></extra>",
        meta="anchors",
    )
    shown = trials[trials["shown"].notna()]
    points = [*zip(axis.of(shown), percent(shown["shown"]), strict=True), *zip(sizes, means, strict=True)]
    to_pixels = _pixels(ends, figure.layout.yaxis.range)
    taken = [to_pixels(x, y) for x, y in points if y is not None]
    taken += _along([to_pixels(x, y) for x, y in zip(*stairs, strict=True) if y is not None])
    for row, size, mean in zip(rows[:NAMED_ANCHORS], sizes, 100 * anchors["mean"], strict=False):
        side, rise = _free_place(to_pixels(size, mean), len(row["name"]), taken)
        figure.add_annotation(
            x=size, y=mean, text=text_of(row["name"]), ax=side, ay=rise, name="anchor", **leader
        )


def _pixels(x: Sequence[float], y: Sequence[float]) -> Callable[[float, float], tuple[float, float]]:
    """Return what places a point in a plot of usual size with these axes, in pixels from the left and the top."""
    width, height = PLOT
    return lambda at, error: (
        width * (at - x[0]) / (x[1] - x[0]),
        height * (y[1] - error) / (y[1] - y[0]),
    )


def _along(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points along a staircase, ten pixels apart."""
    found: list[tuple[float, float]] = []
    for (left, top), (right, bottom) in pairwise(corners):
        found += [(left + step, top) for step in range(0, int(right - left), 10)]
        found += [(right, top + step) for step in range(0, int(bottom - top), 10)]
    return found


def _free_place(
    at: tuple[float, float], letters: int, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """Return where a name of so many letters covers the fewest points, in pixels from its own, and take that place."""
    half, (width, height) = 4 + LETTER * letters / 2, PLOT
    away = half + 16
    ways = [(-22, -34), (22, -34), (-22, 34), (22, 34), (-away, -14), (away, -14), (-away, 14), (away, 14)]

    def cost(way: tuple[float, float]) -> int:
        x, y = at[0] + way[0], at[1] + way[1]
        covered = sum(abs(px - x) < half + 6 and abs(py - y) < 15 for px, py in taken)
        return covered + 10 * (not (half < x < width - half and 9 < y < height - 9))

    best = min(ways, key=cost)
    x, y = at[0] + best[0], at[1] + best[1]
    taken += [(x + part * half, y) for part in (-0.8, -0.4, 0, 0.4, 0.8)]
    return best


def _anchor_text(row: Mapping[Any, Any], unit: FlopsUnit) -> str:
    return (
        f"<b>{text_of(row['name'])}: {wrapped(row['block'])}</b><br>val error {100 * row['mean']:.2f} %, mean of "
        f"{row['n']} seeds ({100 * row['min']:.2f} to {100 * row['max']:.2f})<br>reference "
        f"{unit.of(row['ref_macs'])} {unit.name}, {row['ref_params'] / 1e6:.2f} M<br>proxy "
        f"{row['proxy_macs'] / 1e6:.2f} M multiply-adds, {row['proxy_params'] / 1e3:.1f} k #P"
    )


def _add_ticks(figure: go.Figure, axis: _Axis, search: pd.DataFrame, ends: Sequence[float]) -> None:
    """Mark what has no error at the foot of the plot: on an axis of its own, so that it claims no value."""
    refused = search[search["status"] == "over_budget"]
    limit = ends[0] + FAR * (ends[1] - ends[0])
    near = refused[refused[axis.column] / axis.unit <= limit]
    end = max([ends[1], *(size + 0.02 * (limit - ends[0]) for size in axis.of(near))])
    lost = search[search["status"].isin(["failed", "diverged"])]
    tick = {"symbol": "line-ns", "size": 12, "line": {"width": 1.6, "color": GREY}}
    cross = {"symbol": "x", "size": 8, "color": PURPLE}
    for rows, name, marker, meta in (
        (near, "over budget, untrained", tick, "over"),
        (lost, "failed or diverged", cross, "lost"),
    ):
        _add_trials(figure, axis, rows, name, marker, lambda rows: [0.027] * len(rows), yaxis="y2", meta=meta)
    if beyond := len(refused) - len(near):
        figure.update_xaxes(title_text=f"{axis.title} ({beyond} over budget lie beyond →)")
    figure.update_xaxes(range=[ends[0], end])
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})
