"""From tables to plotly figures: pure functions. Errors are drawn in %, costs in 10^9 and 10^6.

Colours are those of Okabe and Ito, told apart also by colour-blind readers, and each kind of point has its
own symbol. Backgrounds are transparent and text has no colour of its own: the page gives both.
"""

from __future__ import annotations

import html
import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from skexplore.errors import UserError

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#808790"  # 3:1 or better on white and on the dark page alike
GRID = "rgba(128,135,144,0.22)"
BAND = "rgba(0,158,115,0.13)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
FAR = 1.25  # ticks of refused proposals beyond this multiple of all that was trained are not drawn

Size = Literal["ref_macs", "ref_params"]
_AXIS: dict[Size, tuple[str, float, str]] = {
    "ref_macs": ("Reference cost, GFLOPs", 1e9, "GFLOPs"),
    "ref_params": ("Reference #P, millions", 1e6, "M"),
}
_HOVER = (
    "<b>%{customdata[0]}</b><br>val error %{customdata[7]}<br>reference %{customdata[1]:.3f} GFLOPs,"
    " %{customdata[2]:.2f} M<br>proxy %{customdata[3]:.2f} M multiply-adds, %{customdata[4]:.1f} k #P"
    "<br>seed %{customdata[5]}, %{customdata[6]} epochs<br>%{customdata[8]}<extra></extra>"
)


def plotly_js() -> str:
    """Return the source of plotly.js, to be put into a page once."""
    return str(get_plotlyjs())


def pareto_figure(
    trials: pd.DataFrame,
    front: pd.DataFrame,
    anchors: pd.DataFrame,
    *,
    x: Size,
    budget: float | None,
    best: float | None,
    least_difference: float | None,
) -> go.Figure:
    """Return validation error against a reference cost.

    trials, front: the columns of ``trials.csv``; anchors: ``analysis.anchors_table``. budget in the unit of
    ``x`` (multiply-adds or parameters); best and least_difference, fractions, make the noise band.
    """
    label, unit, short = _AXIS[x]
    figure = _empty(label, "Validation error, %")
    search = trials[trials["origin"] == "search"]
    measured = search[search["val_error"].notna() & search["status"].isin(["complete", "stopped"])]
    sizes = [*measured[x], *anchors[x]] or [*search[x]]
    span = _span([size / unit for size in sizes] + ([budget / unit] if budget else []))
    errors = [100 * e for e in (*measured["val_error"], *anchors["min"], *anchors["max"])]
    bottom, top = _span(errors, least=1.0, low=0.14)
    figure.update_xaxes(range=span)
    figure.update_yaxes(range=[bottom, top])
    if best is not None and least_difference is not None:
        _noise_band(figure, 100 * best, 100 * least_difference, top)
    _add_staircase(figure, front, x, unit, span[1] if budget is None else budget / unit)
    on_front = set(front["number"])
    others = measured[~measured["number"].isin(on_front)]
    for status, name, marker in (
        ("stopped", "stopped early", {"symbol": "x-thin", "size": 8, "line": {"width": 1.6, "color": GREY}}),
        ("complete", "complete", {"symbol": "circle-open", "size": 9, "color": BLUE, "line": {"width": 1.6}}),
    ):
        _add_points(figure, others[others["status"] == status], x, unit, name, marker)
    _add_points(figure, front, x, unit, "Pareto front", {"size": 11, "color": BLUE})
    _add_anchors(figure, anchors, x, unit, span)
    _add_ticks(figure, search, x, unit, span)
    if budget is not None:
        _budget_line(figure, budget / unit, f"budget {budget / unit:g} {short}")
    return figure


def curves_figure(curves: pd.DataFrame, front: pd.DataFrame) -> go.Figure:
    """Return validation error per epoch, one line per trained record, the front emphasised.

    curves: ``analysis.curves_table``; front: the columns of ``trials.csv``.
    """
    figure = _empty("Epoch", "Validation error, %")
    chosen = (curves["origin"] != "anchor") & curves["number"].isin(set(front["number"]))
    other = ~chosen & (curves["origin"] != "anchor")
    stopped = curves["status"] == "stopped"
    thin = {"color": GREY, "width": 1.2}
    for name, rows, line, symbol in (
        (
            "stopped or unfinished",
            curves[other & (curves["status"] != "complete")],
            {**thin, "dash": "dot"},
            "x",
        ),
        ("complete", curves[other & (curves["status"] == "complete")], thin, "circle-open"),
        (
            "anchors",
            curves[(curves["origin"] == "anchor") & ~stopped],
            {**thin, "color": VERMILLION},
            "diamond",
        ),
        ("Pareto front", curves[chosen], {"color": BLUE, "width": 2.6}, "circle"),
    ):
        if not rows.empty:
            figure.add_trace(_lines(rows, name, line, symbol))
    figure.update_xaxes(dtick=1 if curves["epoch"].max() <= 12 else None, rangemode="tozero")
    return figure


def incumbent_figure(
    incumbent: pd.DataFrame, anchors: pd.DataFrame, *, best: float | None, least_difference: float | None
) -> go.Figure:
    """Return the best feasible validation error so far over the images trained on by the search.

    incumbent: ``analysis.incumbent``; anchors: ``analysis.anchors_table``, drawn as lines at their means.
    """
    figure = _empty("Images trained on by the search", "Validation error, %")
    errors = [100 * e for e in (*incumbent["val_error"].dropna(), *anchors["min"], *anchors["max"])]
    figure.update_yaxes(range=_span(errors, least=1.0))
    if best is not None and least_difference is not None:
        _noise_band(figure, 100 * best, 100 * least_difference, _span(errors, least=1.0)[1])
    for row in anchors.to_dict("records"):
        figure.add_hline(
            y=100 * row["mean"],
            line={"color": VERMILLION, "width": 1.4, "dash": "dot"},
            annotation={
                "text": f"{_text(row['name'])}, n={row['n']}",
                "font": {"size": 11, "color": VERMILLION},
            },
            annotation_position="top right",
        )
    common = {"x": [*incumbent["images"]], "text": [_wrapped(block) for block in incumbent["block"]]}
    hover = "<b>%{text}</b><br>%{y:.2f} %<br>%{x:,} images<extra></extra>"
    figure.add_scatter(
        **common,
        y=_percent(incumbent["val_error"]),
        mode="markers",
        name="trials",
        marker={"symbol": "circle-open", "size": 8, "color": GREY, "line": {"width": 1.4}},
        hovertemplate=hover,
    )
    figure.add_scatter(
        x=[*incumbent["images"]],
        y=_percent(incumbent["best_val_error"]),
        mode="lines",
        line={"color": BLUE, "width": 2.6, "shape": "hv"},
        name="incumbent (best feasible so far)",
        hovertemplate="best so far %{y:.2f} %<br>%{x:,} images<extra></extra>",
    )
    figure.update_xaxes(rangemode="tozero")
    return figure


def placement_figure(published: pd.DataFrame, trials: pd.DataFrame, front: pd.DataFrame) -> go.Figure:
    """Return trained blocks among the published rows over (#P, GFLOPs), both our count at the reference.

    published: ``analysis.published_table``; trials, front: the columns of ``trials.csv``. No errors here.
    """
    figure = _empty("Reference #P, millions", "Reference cost, GFLOPs")
    for table, symbol, size in ((3, "square-open", 15), (6, "diamond-open", 13), (7, "circle-open", 9)):
        rows = published[published["table"] == table]
        spots = rows.groupby(["ref_params", "ref_macs"], sort=True)["name"].agg(
            lambda names: "<br>".join(map(_text, names))
        )
        figure.add_scatter(
            x=[params / 1e6 for params, _ in spots.index],
            y=[macs / 1e9 for _, macs in spots.index],
            mode="markers",
            name=f"Table {table}",
            marker={"symbol": symbol, "size": size, "color": GREY, "line": {"width": 1.6}},
            text=[*spots],
            hovertemplate=f"Table {table}<br>%{{text}}<br>%{{x:.2f}} M, %{{y:.3f}} GFLOPs<extra></extra>",
        )
    search = trials[(trials["origin"] == "search") & trials["status"].isin(["complete", "stopped"])]
    others = search[~search["number"].isin(set(front["number"]))]
    for name, rows, marker in (
        ("trained trials", others, {"symbol": "x-thin", "size": 8, "line": {"width": 1.8, "color": BLUE}}),
        ("Pareto front", front, {"size": 8, "color": BLUE}),
    ):
        if rows.empty:
            continue
        figure.add_scatter(
            x=[value / 1e6 for value in rows["ref_params"]],
            y=[value / 1e9 for value in rows["ref_macs"]],
            mode="markers",
            name=name,
            marker=marker,
            customdata=_details(rows),
            hovertemplate=_HOVER,
        )
    return figure


def to_svg(figure: go.Figure, *, width: int, height: int) -> str:
    """Return ``figure`` as SVG text, equal for equal figures; sizes in pixels.

    Needs the package kaleido and a Chromium; a ``UserError`` names what is missing.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise UserError("pictures need the package kaleido: pip install 'skexplore[picture]'")
    still = go.Figure(figure)
    still.update_layout(font_color="#6e7781")  # legible on the white and on the dark page of a code host
    try:
        text = still.to_image(format="svg", width=width, height=height).decode()
    except Exception as error:  # kaleido's and its browser driver's errors share no base class
        raise UserError(f"the picture could not be drawn (is a Chromium installed?): {error}") from error
    ids = dict.fromkeys(re.findall(r"(?:clip|topdefs-|defs-|legend)([0-9a-f]{6})", text))
    for number, name in enumerate(ids):  # plotly.js draws them at random
        text = text.replace(name, f"{number:06d}")
    return text


def _empty(x_title: str, y_title: str) -> go.Figure:
    """Return a figure with axes and the common layout, no data."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GREY, "ticks": "outside", "tickcolor": GREY}
    figure = go.Figure()
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13},
        margin={"l": 56, "r": 16, "t": 28, "b": 48},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": -0.2, "yanchor": "top"},
        hoverlabel={"align": "left"},
        hovermode="closest",
        dragmode=False,
        xaxis={**axis, "title": {"text": x_title, "standoff": 8}, "showline": True},
        yaxis={**axis, "title": {"text": y_title, "standoff": 8}, "automargin": True},
    )
    return figure


def _span(values: Sequence[float], *, least: float = 0.1, low: float = 0.08) -> list[float]:
    """Return an axis range around ``values`` with a margin (``low`` of it below), at least ``least`` wide."""
    if not values:
        return [0.0, 1.0]
    start, end = min(values), max(values)
    width = max(end - start, least)
    return [start - low * width - (width - end + start) / 2, end + 0.08 * width + (width - end + start) / 2]


def _noise_band(figure: go.Figure, best: float, width: float, top: float) -> None:
    figure.add_hrect(y0=best, y1=best + width, fillcolor=BAND, line_width=0, layer="below")
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=min(best + width, top),
        yanchor="top",
        text="within seed noise of the best",
        showarrow=False,
        font={"size": 11, "color": GREEN},
    )


def _budget_line(figure: go.Figure, at: float, text: str) -> None:
    figure.add_vline(x=at, line={"color": GREY, "width": 1.6, "dash": "dash"})
    figure.add_annotation(
        x=at,
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor="center",
        text=text,
        showarrow=False,
        font={"size": 12},
    )


def _add_staircase(figure: go.Figure, front: pd.DataFrame, x: Size, unit: float, end: float) -> None:
    if front.empty:
        return
    sizes = [value / unit for value in front[x]]
    errors = _percent(front["val_error"])
    figure.add_scatter(
        x=[*sizes, max(end, sizes[-1])],
        y=[*errors, errors[-1]],
        mode="lines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )


def _add_points(
    figure: go.Figure, rows: pd.DataFrame, x: Size, unit: float, name: str, marker: Mapping[str, Any]
) -> None:
    if rows.empty:
        return
    figure.add_scatter(
        x=[value / unit for value in rows[x]],
        y=_percent(rows["val_error"]),
        mode="markers",
        name=name,
        marker=marker,
        customdata=_details(rows),
        hovertemplate=_HOVER,
    )


def _add_anchors(
    figure: go.Figure, anchors: pd.DataFrame, x: Size, unit: float, span: Sequence[float]
) -> None:
    if anchors.empty:
        return
    middle = sum(span) / 2
    rows = anchors.to_dict("records")
    figure.add_scatter(
        x=[row[x] / unit for row in rows],
        y=[100 * row["mean"] for row in rows],
        error_y={
            "array": [100 * (row["max"] - row["mean"]) for row in rows],
            "arrayminus": [100 * (row["mean"] - row["min"]) for row in rows],
            "thickness": 1.6,
            "width": 5,
        },
        mode="markers+text",
        name="anchors: mean, range over seeds",
        marker={"symbol": "diamond", "size": 11, "color": VERMILLION},
        text=[_text(row["name"]) for row in rows],
        textposition=["middle left" if row[x] / unit > middle else "middle right" for row in rows],
        textfont={"size": 12, "color": VERMILLION},
        customdata=[
            [_wrapped(row["block"]), row["ref_macs"] / 1e9, row["ref_params"] / 1e6, row["proxy_macs"] / 1e6]
            + [row["proxy_params"] / 1e3, row["n"], 100 * row["min"], 100 * row["max"]]
            for row in rows
        ],
        hovertemplate=(
            "<b>%{text}: %{customdata[0]}</b><br>val error %{y:.2f} % (mean of %{customdata[5]} seeds, "
            "%{customdata[6]:.2f} to %{customdata[7]:.2f})<br>reference %{customdata[1]:.3f} GFLOPs, "
            "%{customdata[2]:.2f} M<br>proxy %{customdata[3]:.2f} M multiply-adds, %{customdata[4]:.1f} k #P"
            "<extra></extra>"
        ),
    )


def _add_ticks(figure: go.Figure, search: pd.DataFrame, x: Size, unit: float, span: list[float]) -> None:
    """Mark what has no error at the foot of the plot: on an axis of its own, so that it claims no value."""
    refused = search[search["status"] == "over_budget"]
    limit = max(FAR * span[1] - (FAR - 1) * span[0], span[1])
    near = refused[refused[x] / unit <= limit]
    beyond = len(refused) - len(near)
    name = "over budget, not trained" + (f" ({beyond} more to the right)" if beyond else "")
    lost = search[search["status"].isin(["failed", "diverged"])]
    for rows, label, height, marker in (
        (near, name, 0.025, {"symbol": "line-ns", "size": 12, "line": {"width": 1.6, "color": GREY}}),
        (lost, "failed or diverged", 0.06, {"symbol": "x", "size": 8, "color": PURPLE}),
    ):
        if rows.empty:
            continue
        figure.add_scatter(
            x=[value / unit for value in rows[x]],
            y=[height] * len(rows),
            yaxis="y2",
            mode="markers",
            name=label,
            marker=marker,
            customdata=_details(rows),
            hovertemplate=_HOVER,
        )
    if not near.empty:
        figure.update_xaxes(range=[span[0], max(span[1], near[x].max() / unit + 0.03 * (span[1] - span[0]))])
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


def _details(rows: pd.DataFrame) -> list[list[Any]]:
    """Return what ``_HOVER`` shows, one list per row."""
    return [
        [_wrapped(row["block"]), row["ref_macs"] / 1e9, row["ref_params"] / 1e6, row["proxy_macs"] / 1e6]
        + [row["proxy_params"] / 1e3, row["seed"], row["epochs"]]
        + ["none" if pd.isna(row["val_error"]) else f"{100 * row['val_error']:.2f} %"]
        + [_text(f"trial {row['number']}, {row['status']}")]
        for row in rows.to_dict("records")
    ]


def _text(value: object) -> str:
    """Return ``value`` as text that plotly does not read as its markup."""
    return html.escape(str(value), quote=False)


def _wrapped(block: object) -> str:
    """Return a block's notation, one stage on a line, so that a long one fits a small screen."""
    return _text(block).replace(";", ";<br>")
