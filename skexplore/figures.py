"""From tables to plotly figures: pure functions. Errors are drawn in %, costs in 10^9 and 10^6.

Colours are those of Okabe and Ito, told apart also by colour-blind readers, and each kind of point has its
own symbol. Backgrounds are transparent and text has no colour of its own: the page gives both.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"  # the page brightens BLUE in the dark
GREY = "#808790"  # 3:1 or better on white and on the dark page alike
GRID = "rgba(128,135,144,0.22)"
BAND = "rgba(0,158,115,0.15)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
FAR = 1.25  # ticks of refused proposals beyond this multiple of all that was trained are not drawn

NAMED_ANCHORS = 4  # more names than this would cover the points; they stay on hover

Size = Literal["ref_macs", "ref_params"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The noise band: from the ``best`` error to ``width`` above it, fractions 0..1."""

    best: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """A cost axis: the column it shows, in multiples of ``unit``."""

    column: Size
    title: str
    unit: float
    short: str

    def of(self, rows: pd.DataFrame) -> list[float]:
        return [value / self.unit for value in rows[self.column]]


_AXES: dict[Size, _Axis] = {
    "ref_macs": _Axis(column="ref_macs", title="Reference cost, GFLOPs", unit=1e9, short="GFLOPs"),
    "ref_params": _Axis(column="ref_params", title="Reference #P, millions", unit=1e6, short="M"),
}
_HOVER_COSTS = (
    "<br>reference %{customdata[1]:.3f} GFLOPs, %{customdata[2]:.2f} M"
    "<br>proxy %{customdata[3]:.2f} M multiply-adds, %{customdata[4]:.1f} k #P"
)
_HOVER = (
    "<b>%{customdata[0]}</b><br>val error %{customdata[7]}"
    + _HOVER_COSTS
    + "<br>seed %{customdata[5]}, %{customdata[6]} epochs<br>%{customdata[8]}<extra></extra>"
)
_ANCHOR_HOVER = (
    "<b>%{text}: %{customdata[0]}</b><br>val error %{y:.2f} %, mean of %{customdata[5]} seeds"
    "<br>(%{customdata[6]:.2f} to %{customdata[7]:.2f})" + _HOVER_COSTS + "<extra></extra>"
)


def pareto_figure(
    trials: pd.DataFrame,
    front: pd.DataFrame,
    anchors: pd.DataFrame,
    *,
    x: Size,
    budget: float | None,
    band: Band | None,
) -> go.Figure:
    """Return validation error against a reference cost.

    trials, front: the columns of ``trials.csv``; anchors: ``analysis.anchors_table``. budget in the unit of
    ``x`` (multiply-adds or parameters), None if there is none; band: None if noise or best are not known.
    """
    axis = _AXES[x]
    figure = _empty(axis.title, "Validation error, %")
    search = trials[trials["origin"] == "search"]
    measured = search[search["val_error"].notna() & search["status"].isin(["complete", "stopped"])]
    limit = [] if budget is None else [budget / axis.unit]
    seen = search[search["status"] != "over_budget"]
    span = _span([*axis.of(seen), *axis.of(anchors), *limit] or axis.of(search))
    figure.update_yaxes(range=_error_span(measured["val_error"], anchors, low=0.14))
    _add_band(figure, band)
    _add_staircase(figure, axis, front, limit[0] if limit else span[1])
    others = measured[~measured["number"].isin(set(front["number"]))]
    _add_trials(figure, axis, front, "Pareto front, single trainings", {"size": 11, "color": BLUE})
    for status, name, marker in (
        ("complete", "complete", {"symbol": "circle-open", "size": 9, "color": BLUE, "line": {"width": 1.6}}),
        ("stopped", "stopped early", {"symbol": "x-thin", "size": 8, "line": {"width": 1.6, "color": GREY}}),
    ):
        _add_trials(figure, axis, others[others["status"] == status], name, marker)
    _add_anchors(figure, axis, anchors, span)
    _add_ticks(figure, axis, search, span)
    for at in limit:
        _add_budget(figure, at, f"budget {at:g} {axis.short}", right=at > sum(span) / 2)
    return figure


def curves_figure(curves: pd.DataFrame, front: pd.DataFrame, *, band: Band | None) -> go.Figure:
    """Return validation error per epoch, one line per trained record, the front emphasised.

    curves: ``analysis.curves_table``; front: the columns of ``trials.csv``.
    """
    figure = _empty("Epoch", "Validation error, %")
    _add_band(figure, band)
    anchor = curves["origin"] == "anchor"
    chosen = ~anchor & curves["number"].isin(set(front["number"]))
    complete = curves["status"] == "complete"
    thin = {"color": GREY, "width": 1.2}
    for name, rows, line, symbol in (
        ("Pareto front", curves[chosen], {"color": BLUE, "width": 2.6}, "circle"),
        ("complete", curves[~anchor & ~chosen & complete], thin, "circle-open"),
        ("not complete", curves[~anchor & ~chosen & ~complete], {**thin, "dash": "dot"}, "x"),
        ("anchors", curves[anchor], {**thin, "color": VERMILION}, "diamond"),
    ):
        if not rows.empty:
            figure.add_trace(_lines(rows, name, line, symbol))
    figure.update_xaxes(dtick=1 if curves["epoch"].max() <= 12 else None)
    return figure


def incumbent_figure(incumbent: pd.DataFrame, anchors: pd.DataFrame, *, band: Band | None) -> go.Figure:
    """Return the best feasible validation error so far over the images trained on by the search.

    incumbent: ``analysis.incumbent``; anchors: ``analysis.anchors_table``, drawn as lines at their means.
    """
    images = [*incumbent["images"]]
    figure = _empty("Images trained on by the search", "Validation error, %")
    figure.update_yaxes(range=_error_span(incumbent["val_error"].dropna(), anchors))
    figure.update_xaxes(rangemode="tozero")
    _add_band(figure, band)
    line = {"color": VERMILION, "width": 1.4, "dash": "dot"}
    for row in anchors.to_dict("records"):
        name = {"text": f"{_text(row['name'])}, mean of {row['n']}", "font": {"size": 11}}
        figure.add_hline(y=100 * row["mean"], line=line, annotation=name, annotation_position="top right")
    figure.add_scatter(
        x=images,
        y=_percent(incumbent["best_val_error"]),
        mode="lines",
        line={"color": BLUE, "width": 2.6, "shape": "hv"},
        name="best feasible so far",
        hovertemplate="best so far %{y:.2f} %<br>%{x:,} images<extra></extra>",
    )
    figure.add_scatter(
        x=images,
        y=_percent(incumbent["val_error"]),
        mode="markers",
        name="trials",
        marker={"symbol": "circle-open", "size": 8, "color": GREY, "line": {"width": 1.4}},
        text=[_wrapped(block) for block in incumbent["block"]],
        hovertemplate="<b>%{text}</b><br>%{y:.2f} %<br>%{x:,} images<extra></extra>",
    )
    return figure


def placement_figure(published: pd.DataFrame, trials: pd.DataFrame, front: pd.DataFrame) -> go.Figure:
    """Return trained blocks among the published rows over (#P, GFLOPs), both our count at the reference.

    published: ``analysis.published_table``; trials, front: the columns of ``trials.csv``. No errors here.
    """
    figure = _empty(_AXES["ref_params"].title, _AXES["ref_macs"].title)
    search = trials[(trials["origin"] == "search") & trials["status"].isin(["complete", "stopped"])]
    others = search[~search["number"].isin(set(front["number"]))]
    dot, cross = (
        {"size": 8, "color": BLUE},
        {"symbol": "x-thin", "size": 8, "line": {"width": 1.8, "color": BLUE}},
    )
    for name, rows, marker in (("Pareto front", front, dot), ("trained", others, cross)):
        _add_trials(figure, _AXES["ref_params"], rows, name, marker, _AXES["ref_macs"].of(rows))
    for table, symbol, size in ((3, "square-open", 15), (6, "diamond-open", 13), (7, "circle-open", 9)):
        rows = published[published["table"] == table]
        spots = rows.groupby(["ref_params", "ref_macs"], sort=True)["name"].agg("\n".join)
        figure.add_scatter(
            x=[params / 1e6 for params, _ in spots.index],
            y=[macs / 1e9 for _, macs in spots.index],
            mode="markers",
            name=f"Table {table}",
            marker={"symbol": symbol, "size": size, "color": GREY, "line": {"width": 1.6}},
            text=[_text(names).replace("\n", "<br>") for names in spots],
            hovertemplate=f"Table {table}<br>%{{text}}<br>%{{x:.2f}} M, %{{y:.3f}} GFLOPs<extra></extra>",
        )
    return figure


def _empty(x_title: str, y_title: str) -> go.Figure:
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


def _span(values: Sequence[float], *, least: float = 0.1, low: float = 0.08) -> list[float]:
    """Return an axis range around ``values`` with a margin (``low`` of it below), at least ``least`` wide."""
    if not values:
        return [0.0, 1.0]
    start, end = min(values), max(values)
    slack = max(least - (end - start), 0) / 2
    width = end - start + 2 * slack
    return [start - slack - low * width, end + slack + 0.08 * width]


def _error_span(errors: pd.Series, anchors: pd.DataFrame, *, low: float = 0.08) -> list[float]:
    both = [*errors, *anchors["min"], *anchors["max"]]
    return _span([100 * error for error in both], least=1.0, low=low) if both else [0.0, 100.0]


def _add_band(figure: go.Figure, band: Band | None) -> None:
    if band is None:
        return
    low, high = 100 * band.best, 100 * (band.best + band.width)
    figure.add_hrect(y0=low, y1=high, fillcolor=BAND, line_width=0, layer="below")
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": low, "yanchor": "bottom", "showarrow": False}
    figure.add_annotation(**place, text="within seed noise of the best", font={"size": 11})


def _add_budget(figure: go.Figure, at: float, text: str, *, right: bool) -> None:
    figure.add_vline(x=at, line={"color": GREY, "width": 1.6, "dash": "dash"})
    side = "right" if right else "left"
    figure.add_annotation(x=at, xanchor=side, y=1, yref="paper", yanchor="bottom", text=text, showarrow=False)


def _add_staircase(figure: go.Figure, axis: _Axis, front: pd.DataFrame, end: float) -> None:
    sizes, errors = axis.of(front), _percent(front["val_error"])
    figure.add_scatter(  # without a front an empty one: plotly draws no error axis that holds nothing
        x=[*sizes, max([end, *sizes])],
        y=[*errors, *(errors[-1:] or [None])],
        mode="lines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )


def _add_trials(
    figure: go.Figure,
    axis: _Axis,
    rows: pd.DataFrame,
    name: str,
    marker: Mapping[str, Any],
    y: Sequence[float | None] | None = None,
    **more: Any,
) -> None:
    """Add one trace of trials, at their errors or at ``y``, with the whole record on hover."""
    if rows.empty:
        return
    details = [[*_costs(row), *_training(row)] for row in rows.to_dict("records")]
    figure.add_scatter(
        x=axis.of(rows),
        y=_percent(rows["val_error"]) if y is None else y,
        mode="markers",
        name=name,
        marker=marker,
        customdata=details,
        hovertemplate=_HOVER,
        **more,
    )


def _add_anchors(figure: go.Figure, axis: _Axis, anchors: pd.DataFrame, span: Sequence[float]) -> None:
    if anchors.empty:
        return
    rows = anchors.to_dict("records")
    leader = {"standoff": 7, "arrowhead": 0, "arrowwidth": 1, "arrowcolor": VERMILION, "font": {"size": 12}}
    sizes, means = axis.of(anchors), _percent(anchors["mean"])
    above = [100 * (row["max"] - row["mean"]) for row in rows]
    below = [100 * (row["mean"] - row["min"]) for row in rows]
    figure.add_scatter(
        x=sizes,
        y=means,
        error_y={"array": above, "arrayminus": below, "thickness": 1.6, "width": 5},
        mode="markers",
        name="anchors, range over seeds",
        marker={"symbol": "diamond", "size": 10, "color": VERMILION},
        text=[_text(row["name"]) for row in rows],
        customdata=[[*_costs(row), row["n"], 100 * row["min"], 100 * row["max"]] for row in rows],
        hovertemplate=_ANCHOR_HOVER,
    )
    for row, size, mean in zip(rows[:NAMED_ANCHORS], sizes, means, strict=False):
        side = -22 if size > sum(span) / 2 else 22
        low, high = figure.layout.yaxis.range
        rise = 34 if mean > low + 0.7 * (high - low) else -34  # near the top the budget's label stands above
        figure.add_annotation(x=size, y=mean, text=_text(row["name"]), ax=side, ay=rise, **leader)


def _add_ticks(figure: go.Figure, axis: _Axis, search: pd.DataFrame, span: Sequence[float]) -> None:
    """Mark what has no error at the foot of the plot: on an axis of its own, so that it claims no value."""
    refused = search[search["status"] == "over_budget"]
    limit = span[0] + FAR * (span[1] - span[0])
    near = refused[refused[axis.column] / axis.unit <= limit]
    end = max([span[1], *(size + 0.02 * (limit - span[0]) for size in axis.of(near))])
    lost = search[search["status"].isin(["failed", "diverged"])]
    tick = {"symbol": "line-ns", "size": 12, "line": {"width": 1.6, "color": GREY}}
    cross = {"symbol": "x", "size": 8, "color": PURPLE}
    for rows, name, marker in ((near, "over budget, untrained", tick), (lost, "failed or diverged", cross)):
        _add_trials(figure, axis, rows, name, marker, [0.027] * len(rows), yaxis="y2")
    if beyond := len(refused) - len(near):
        place = {"x": 1, "xref": "paper", "xanchor": "right", "y": 0.04, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(**place, text=f"{beyond} over budget →", showarrow=False, font={"size": 11})
    figure.update_xaxes(range=[span[0], end])
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def _lines(rows: pd.DataFrame, name: str, line: Mapping[str, Any], symbol: str) -> go.Scatter:
    """Return one trace for many curves, with gaps between them: plotly is slow with many traces."""
    epochs: list[int | None] = []
    errors: list[float | None] = []
    texts: list[str] = []
    for (_, block, seed), curve in rows.groupby(["number", "block", "seed"], sort=False):
        epochs += [*curve["epoch"], None]
        errors += [*_percent(curve["val_error"]), None]
        texts += [f"<b>{_wrapped(str(block))}</b><br>seed {seed}"] * (len(curve) + 1)
    return go.Scatter(
        x=epochs,
        y=errors,
        text=texts,
        name=name,
        mode="lines+markers",
        line=line,
        marker={"size": 5, "symbol": symbol},
        hovertemplate="%{text}<br>epoch %{x}: %{y:.2f} %<extra></extra>",
    )


def _percent(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else 100 * float(value) for value in values]


def _costs(row: Mapping[Any, Any]) -> list[Any]:
    """Return the block and both costs, the first five items of a hover text."""
    reference = [row["ref_macs"] / 1e9, row["ref_params"] / 1e6]
    return [_wrapped(row["block"]), *reference, row["proxy_macs"] / 1e6, row["proxy_params"] / 1e3]


def _training(row: Mapping[Any, Any]) -> list[Any]:
    """Return the other four items of a trial's hover text."""
    error = "none" if pd.isna(row["val_error"]) else f"{100 * row['val_error']:.2f} %"
    return [row["seed"], row["epochs"], error, _text(f"trial {row['number']}, {row['status']}")]


def _text(value: object) -> str:
    """Return ``value`` as text that plotly does not read as its markup."""
    return html.escape(str(value), quote=False)


def _wrapped(block: object) -> str:
    """Return a block's notation, one stage on a line, so that a long one fits a small screen."""
    return _text(block).replace(";", ";<br>")
