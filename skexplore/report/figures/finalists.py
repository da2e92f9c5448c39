"""The plotly figure of a confirmation: the errors of a search beside those of fresh trainings."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from skexplore.report.figures.ablation import rows_figure
from skexplore.report.figures.style import BLUE, GREY, ORANGE, percent, span, text_of

THEN, NOW = -0.2, 0.2  # above and below the test error of the same block


def finalists_figure(table: pd.DataFrame) -> go.Figure:
    """Return each block's error in the search, on validation now and, with 95 % intervals, on test now.

    table: ``confirmation.confirmation_table``; errors are drawn in %.
    """
    figure, place = rows_figure(table, "Error, %")
    columns = ("searched_error", "val_mean", "test_mean", "test_low", "test_high")
    ends = [100 * value for column in columns for value in table[column].dropna()]
    figure.update_xaxes(range=span(ends, least=0.5))
    both = table[table["searched_error"].notna() & table["val_mean"].notna()]
    figure.add_scatter(
        x=[
            x
            for row in both.to_dict("records")
            for x in (100 * row["searched_error"], 100 * row["val_mean"], None)
        ],
        y=[y for variant in both["variant"] for y in (place[variant] + THEN, place[variant] + NOW, None)],
        mode="lines",
        line={"color": GREY, "width": 1.4},
        showlegend=False,
        hoverinfo="skip",
    )
    for column, name, marker, lift in (
        (
            "searched_error",
            "validation, in the search",
            {"color": ORANGE, "symbol": "diamond-open", "size": 10},
            THEN,
        ),
        ("val_mean", "validation, now", {"color": GREY, "size": 8}, NOW),
        ("test_mean", "test, now, 95 %", {"color": BLUE, "size": 10}, 0.0),
    ):
        rows = table[table[column].notna()]
        known = column == "test_mean" and bool(rows["test_low"].notna().any())
        bars = {
            "type": "data",
            "array": percent(rows["test_high"] - rows["test_mean"]),
            "arrayminus": percent(rows["test_mean"] - rows["test_low"]),
            "thickness": 1.8,
            "width": 4,
            "color": BLUE,
        }
        figure.add_scatter(
            x=percent(rows[column]),
            y=[place[variant] + lift for variant in rows["variant"]],
            error_x=bars if known else None,
            mode="markers",
            name=name,
            marker=marker,
            text=[f"{text_of(row['variant'])}<br>{row['role']}" for row in rows.to_dict("records")],
            hovertemplate=f"%{{text}}<br>{name}: %{{x:.2f}} %<extra></extra>",
        )
    return figure
