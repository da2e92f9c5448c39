"""The plotly figure of a confirmation: the errors of a search beside those of fresh trainings."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from skexplore.report.figures.ablation import rows_figure
from skexplore.report.figures.style import BLUE, GREY, ORANGE, percent, span, text_of


def finalists_figure(table: pd.DataFrame) -> go.Figure:
    """Return each block's error in the search, on validation now and, with 95 % intervals, on test now.

    table: ``confirmation.confirmation_table``; errors are drawn in %.
    """
    figure, place = rows_figure(table, "Error, %")
    columns = ("searched_error", "val_mean", "test_mean", "test_low", "test_high")
    ends = [100 * value for column in columns for value in table[column].dropna()]
    figure.update_xaxes(range=span(ends, least=0.5))
    for column, name, marker, lift in (
        (
            "searched_error",
            "validation, in the search",
            {"color": ORANGE, "symbol": "diamond-open", "size": 10},
            -0.2,
        ),
        ("val_mean", "validation, now", {"color": GREY, "size": 8}, 0.2),
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
