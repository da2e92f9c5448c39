"""From tables to the plotly figures of an ablation: pure functions. Errors are drawn in %, differences in points.

The tables of variants have the columns of ``analysis.ablation.COLUMNS`` and ``told``: whether a variant is
distinguishable from the baseline (None where nothing can be claimed). Their rows are drawn as they come.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
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

NAMED = 16  # more names than this would cover the points of a plot; they stay on hover
LABEL_GAP = 15  # pixels from the middle of a label to that of the next
DRAWN_HEIGHT = 380  # pixels of an axis of errors in a page, about
TOP_AND_FOOT, ROW = 8.5, 2.1  # height of a plot with a row for each variant, in rem
LINES = [(color, dash) for dash in ("solid", "dash", "dot") for color in (BLUE, GREEN, ORANGE, PURPLE, GREY)]


def rows_rem(rows: int) -> float:
    """Return the height in rem of a plot with so many rows."""
    return TOP_AND_FOOT + ROW * rows


def rows_height(rows: int) -> str:
    """Return the height of a plot with so many rows, as a style sheet has it."""
    return f"{rows_rem(rows):g}rem"


def means_figure(table: pd.DataFrame, seeds: pd.DataFrame, *, baseline: str, n: int, part: str) -> go.Figure:
    """Return each variant's mean error with its interval, and the single trainings.

    seeds: a row for each training: variant, seed, status, error and ``counted``, whether its seed is complete. n:
    seeds that the means rest on. part: of the images, ``Validation`` or ``Test``.
    """
    figure, place = rows_figure(table, f"{part} error, %")
    own = table[table["mean"].notna()]
    ends = [*own["mean"], *own["low"].dropna(), *own["high"].dropna(), *seeds["error"].dropna()]
    figure.update_xaxes(range=span([100 * error for error in ends], least=0.5))
    _add_seeds(figure, seeds, place, n)
    _add_lost(figure, seeds, place)
    at = own[own["variant"] == baseline]
    for mean in at["mean"]:
        _add_baseline(figure, 100 * mean)
    words = {0: "mean of what is there", 1: "one seed"}.get(n, f"mean of {n}, 95 %")
    _add_points(figure, own[own["variant"] != baseline], place, "mean", words, {"color": BLUE})
    _add_points(figure, at, place, "mean", "", _BASELINE, showlegend=False)
    return figure


def differences_figure(table: pd.DataFrame, *, baseline: str, n: int) -> go.Figure:
    """Return each variant's difference to the baseline with simultaneous intervals; filled: distinguishable."""
    figure, place = rows_figure(table, "Difference, points of error")
    own = table[table["difference"].notna()]
    ends = [0.0, *own["difference"], *own["difference_low"].dropna(), *own["difference_high"].dropna()]
    figure.update_xaxes(range=span([100 * end for end in ends], least=0.5))
    _add_baseline(figure, 0.0)
    figure.add_scatter(
        x=[0.0], y=[place[baseline]], mode="markers", marker=_BASELINE, hoverinfo="skip", showlegend=False
    )
    told = own["told"].eq(True)
    hollow = {"color": BLUE, "symbol": "circle-open", "line": {"width": 1.8}}
    for rows, name, marker in (
        (own[told], "distinguishable", {"color": BLUE}),
        (own[~told], "not distinguishable" if n > 1 else "one seed: no claim", hollow),
    ):
        _add_points(figure, rows, place, "difference", name, marker)
    return figure


def cost_figure(table: pd.DataFrame, *, baseline: str, n: int, part: str) -> go.Figure:
    """Return mean error against reference GFLOPs, a name at each point; the proxy's cost is on hover.

    A variant that is the same network as another stands there only where it costs another amount at the reference.
    """
    figure = empty(
        "Reference cost, GFLOPs", f"{part} error, %" if n == 1 else f"Mean {part.lower()} error, %"
    )
    rows = table[table["mean"].notna()]
    network = rows["same_as"].where(rows["same_as"] != "", rows["variant"])
    rows = rows.assign(network_of=network).drop_duplicates(["network_of", "ref_macs"])
    figure.update_yaxes(range=span([100 * mean for mean in rows["mean"]], least=0.5, low=0.14))
    figure.update_xaxes(range=span(_giga(rows)))
    twin = rows["same_as"] != ""
    for chosen, name, marker in (
        (rows[(rows["variant"] != baseline) & ~twin], "variants", {"color": BLUE}),
        (rows[twin], "same network here as another", {"color": BLUE, "symbol": "circle-open"}),
        (rows[rows["variant"] == baseline], "baseline", _BASELINE),
    ):
        if not chosen.empty:
            figure.add_scatter(
                x=_giga(chosen),
                y=percent(chosen["mean"]),
                mode="markers",
                name=name,
                marker={"size": 10, **marker},
                text=[_hover(row) for row in chosen.to_dict("records")],
                hovertemplate="%{text}<extra></extra>",
            )
    if len(rows) <= NAMED:
        _add_names(figure, rows)
    return figure


def order_figure(table: pd.DataFrame, *, there: str) -> go.Figure:
    """Return a slope from each variant's rank here to its rank in print: ranks alone, no common axis of errors.

    Only rows with both errors are drawn; equals share a mean rank. there: the protocol of the printed errors.
    """
    figure = empty("", "")
    rows = table[table["mean"].notna() & table["printed_error_pct"].notna()]
    ours = rows["mean"].round(12).rank().tolist()
    printed = rows["printed_error_pct"].rank().tolist()
    _order_axes(figure, rows, ours, printed, there)
    texts = [_hover(row) for row in rows.to_dict("records")]
    slopes = [rank for pair in zip(ours, printed, strict=True) for rank in (*pair, None)]
    line = {"color": GREY, "width": 1.4}
    figure.add_scatter(x=[0, 1, None] * len(rows), y=slopes, mode="lines", line=line, hoverinfo="skip")
    for x, ranks, color, axis in ((0, ours, BLUE, "y"), (1, printed, GREY, "y2")):
        figure.add_scatter(
            x=[x] * len(rows),
            y=ranks,
            yaxis=axis,
            mode="markers",
            marker={"size": 9, "color": color},
            text=texts,
            hovertemplate="%{text}<extra></extra>",
        )
    return figure


def _order_axes(
    figure: go.Figure, rows: pd.DataFrame, ours: Sequence[float], printed: Sequence[float], there: str
) -> None:
    """Give ranks two axes: names by rank here on the left, names and errors by rank in print, in grey, on the right."""
    names = [short_label(name, 18) for name in rows["variant"]]
    left = [f"{name}  <b>{rank:g}</b>" for name, rank in zip(names, ours, strict=True)]
    right = [
        f"<b>{rank:g}</b>  {name}, {error:.2f} %"
        for name, rank, error in zip(names, printed, rows["printed_error_pct"], strict=True)
    ]
    bare = {"ticks": "", "showgrid": False, "showline": False, "automargin": True}
    sides = {**bare, "range": [len(rows) + 0.6, 0.4]}
    column = f"<span style='color:{GREY}'>in the paper:<br>{there.replace(', ', ',<br>')}</span>"
    figure.update_layout(
        showlegend=False,
        margin={"t": 72, "b": 12, "l": 8, "r": 8},
        yaxis={**sides, **_ticks(ours, left), "tickfont": {"size": 12}},
        yaxis2={
            **sides,
            **_ticks(printed, right),
            "tickfont": {"size": 12, "color": GREY},
            "overlaying": "y",
            "side": "right",
        },
        xaxis={
            **bare,
            "side": "top",
            "range": [-0.06, 1.06],
            "tickvals": [0, 1],
            "ticktext": ["here", column],
        },
    )


def mean_curves_figure(curves: pd.DataFrame, *, baseline: str, n: int) -> go.Figure:
    """Return the mean validation error of each variant after each epoch; columns variant, epoch, val_error."""
    figure = empty("Epoch", "Validation error, %" if n == 1 else "Mean validation error, %")
    names = [*dict.fromkeys(curves["variant"])]
    styles = dict(zip([name for name in names if name != baseline], cycle(LINES), strict=False))
    styles[baseline] = (VERMILION, "solid")
    for name in names:
        rows = curves[curves["variant"] == name]
        color, dash = styles[name]
        figure.add_scatter(
            x=[int(epoch) for epoch in rows["epoch"]],
            y=percent(rows["val_error"]),
            mode="lines+markers",
            name=short_label(name, 30) + (", baseline" if name == baseline else ""),
            line={"color": color, "dash": dash, "width": 2.6 if name == baseline else 1.8},
            marker={"size": 5},
            hovertemplate=f"{short_label(name, 40)}<br>epoch %{{x}}: %{{y:.2f}} %<extra></extra>",
        )
    figure.update_xaxes(dtick=1 if curves["epoch"].max() <= 12 else None)
    return figure


_BASELINE: Mapping[str, Any] = {"symbol": "diamond", "size": 11, "color": VERMILION}


def rows_figure(table: pd.DataFrame, x_title: str) -> tuple[go.Figure, dict[str, int]]:
    """Return a figure with one row for each variant, the first on top, and the height at which each stands."""
    figure = empty(x_title, "")
    place = {name: row for row, name in enumerate(table["variant"])}
    figure.update_yaxes(
        range=[len(place) - 0.4, -0.6],
        tickvals=[*place.values()],
        ticktext=[short_label(name, 22) for name in place],
        ticks="",
        showline=False,
    )
    figure.update_layout(margin={"t": 40}, legend={"x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 12}})
    return figure, place


def _add_points(
    figure: go.Figure,
    rows: pd.DataFrame,
    place: Mapping[str, int],
    column: str,
    name: str,
    marker: Mapping[str, Any],
    **more: Any,
) -> None:
    """Add one trace of variants at ``column``, with its interval where there is one."""
    if rows.empty:
        return
    low, high = ("low", "high") if column == "mean" else ("difference_low", "difference_high")
    known = rows[low].notna().any()
    bars = {
        "array": percent(rows[high] - rows[column]),
        "arrayminus": percent(rows[column] - rows[low]),
        "thickness": 1.8,
        "width": 4,
        "color": marker["color"],
    }
    figure.add_scatter(
        x=percent(rows[column]),
        y=[place[variant] for variant in rows["variant"]],
        error_x=bars if known else None,
        mode="markers",
        name=name,
        marker={"size": 10, **marker},
        text=[_hover(row) for row in rows.to_dict("records")],
        hovertemplate="%{text}<extra></extra>",
        **more,
    )


def _add_baseline(figure: go.Figure, x: float) -> None:
    """Draw the baseline as a line through all rows."""
    line = {"color": VERMILION, "width": 1.4, "dash": "dot"}
    ends = figure.layout.yaxis.range
    figure.add_scatter(x=[x, x], y=[*ends], mode="lines", line=line, name="baseline", hoverinfo="skip")


def _add_seeds(figure: go.Figure, seeds: pd.DataFrame, place: Mapping[str, int], n: int) -> None:
    """Add single trainings below the mean of their variant; one complete seed alone would repeat the means."""
    measured = seeds[seeds["error"].notna()]
    for rows, name, symbol in (
        (measured[measured["counted"] & (n > 1)], "trainings", "circle"),
        (measured[~measured["counted"]], "in no mean" if n else "trainings", "circle-open"),
    ):
        if not rows.empty:
            figure.add_scatter(
                x=percent(rows["error"]),
                y=[place[variant] + 0.24 for variant in rows["variant"]],
                mode="markers",
                name=name,
                marker={"size": 5, "color": GREY, "symbol": symbol},
                text=[
                    f"{short_label(v, 40)}<br>seed {seed}"
                    for v, seed in zip(rows["variant"], rows["seed"], strict=True)
                ],
                hovertemplate="%{text}: %{x:.2f} %<extra></extra>",
            )


def _add_lost(figure: go.Figure, seeds: pd.DataFrame, place: Mapping[str, int]) -> None:
    """Mark trainings without a result at the right edge: on an axis of its own, so that they claim no value."""
    rows = seeds[seeds["status"].isin(["failed", "diverged"])]
    if rows.empty:
        return
    figure.add_scatter(
        x=[0.985] * len(rows),
        y=[place[variant] for variant in rows["variant"]],
        xaxis="x2",
        mode="markers",
        name="no result",
        marker={"symbol": "x", "size": 8, "color": PURPLE},
        text=[
            f"{short_label(variant, 40)}<br>seed {seed}: {status}"
            for variant, seed, status in zip(rows["variant"], rows["seed"], rows["status"], strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_layout(xaxis2={"overlaying": "x", "range": [0, 1], "visible": False, "fixedrange": True})


def _add_names(figure: go.Figure, rows: pd.DataFrame) -> None:
    """Name each point beside it, on the side where there is room, and no name over another.

    A page on a small screen leaves out what is called ``crowded``.
    """
    crowded = len(rows) > 12 or rows["variant"].str.len().max() > 14
    (low, high), (left, right) = figure.layout.yaxis.range, figure.layout.xaxis.range
    points = [
        (100 * float(row["mean"]), row["ref_macs"] / 1e9, str(row["variant"]))
        for row in rows.to_dict("records")
    ]
    for on_right in (False, True):
        side = sorted(point for point in points if (point[1] > (left + right) / 2) == on_right)
        heights = [DRAWN_HEIGHT * (error - low) / (high - low) for error, _, _ in side]
        for (error, cost, name), at, drawn in zip(side, heights, _apart(heights, LABEL_GAP), strict=True):
            figure.add_annotation(
                x=cost,
                y=error,
                text=short_label(name, 24, lines=1),
                name="crowded" if crowded else None,
                ax=-20 if on_right else 20,
                ay=at - drawn,
                xanchor="right" if on_right else "left",
                font={"size": 11},
                standoff=6,
                arrowhead=0,
                arrowwidth=1,
                arrowcolor=GREY,
            )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return ascending ``heights``, moved as little as need be to stand ``gap`` apart."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _start(groups[-1], gap) < _start(groups[-2], gap) + gap * len(groups[-2]):
            last = groups.pop()
            groups[-1] += last
    return [_start(group, gap) + gap * place for group in groups for place in range(len(group))]


def _start(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _ticks(ranks: Sequence[float], texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return an axis' ticks with their texts, those of equals on lines of their own."""
    found: dict[float, str] = {}
    for rank, text in zip(ranks, texts, strict=True):
        found[rank] = f"{found[rank]}<br>{text}" if rank in found else text
    return {"tickvals": [*found], "ticktext": [*found.values()]}


def _hover(row: Mapping[Any, Any]) -> str:
    """Return what a pointer says of a variant."""
    lines = [f"<b>{short_label(row['variant'], 40)}</b>", short_label(row["network"], 40)]
    if pd.notna(row["mean"]):
        lines.append(f"{100 * row['mean']:.2f} %, n = {row['n']}")
    if pd.notna(row["low"]):
        lines.append(f"95 % {100 * row['low']:.2f} to {100 * row['high']:.2f} %")
    if pd.notna(row["difference"]):
        lines.append(f"{100 * row['difference']:+.2f} points to the baseline")
    if pd.notna(row["difference_low"]):
        lines.append(
            f"95 % {100 * row['difference_low']:+.2f} to {100 * row['difference_high']:+.2f}, all together"
        )
    lines.append(f"reference {row['ref_macs'] / 1e9:.3f} GFLOPs, {row['ref_params'] / 1e6:.2f} M")
    lines.append(f"proxy {row['proxy_macs'] / 1e6:.2f} M multiply-adds, {row['proxy_params'] / 1e3:.1f} k #P")
    return "<br>".join(lines)


def short_label(name: object, width: int, *, lines: int = 2) -> str:
    """Return a name on few short lines, so that a long one leaves room for the plot."""
    found = _broken(str(name), width)
    if len(found) > lines:
        found[lines - 1 :] = [found[lines - 1][: width - 1] + "…"]
    return "<br>".join(map(text_of, found))


def _broken(name: str, width: int) -> list[str]:
    """Return ``name`` on lines of at most ``width`` letters, broken at spaces and between the parts of a block."""
    lines = [""]
    for part in re.split(r"(?<=\s)|(?<=\S)(?=[+/;])", name):
        if len(lines[-1] + part.rstrip()) <= width:
            lines[-1] += part
        else:
            lines += textwrap.wrap(part, width)
            lines[-1] += " " if part[-1].isspace() else ""
    return [line.strip() for line in lines if line.strip()]


def _giga(rows: pd.DataFrame) -> list[float]:
    return [macs / 1e9 for macs in rows["ref_macs"]]
