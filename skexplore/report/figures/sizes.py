"""The networks of Table S9 as Figure 2 of the paper has them: printed errors over the parameters that we count."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go

from skexplore.paper import ReproducedRow
from skexplore.report.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, empty, text_of

_MARKS = (
    (GREY, "square"), (GREEN, "triangle-up"), (ORANGE, "diamond"), (PURPLE, "triangle-down"), (VERMILION, "pentagon"),
)  # fmt: skip


def sizes_figure(rows: Iterable[ReproducedRow]) -> go.Figure:
    """Return top-1 error on ImageNet, as printed, over #P; a line for each family of networks.

    #P is our count where the row is counted, and hollow and as printed where it is not.
    """
    families: dict[str, list[ReproducedRow]] = {}
    for row in rows:
        if not row.alternative and row.paper_error_pct is not None and row.paper_params_m is not None:
            families.setdefault(row.system.split("-")[0], []).append(row)
    figure = empty("#P, millions", "Top-1 error on ImageNet as printed, %")
    others = iter(_MARKS)
    for name, found in families.items():
        color, symbol = (BLUE, "circle") if name == "SKNet" else next(others)
        millions = [row.paper_params_m if row.params is None else row.params / 1e6 for row in found]
        figure.add_scatter(
            x=millions,
            y=[row.paper_error_pct for row in found],
            mode="lines+markers",
            name=name,
            line={"color": color, "width": 3 if name == "SKNet" else 1.6},
            marker={
                "symbol": [f"{symbol}-open" if row.params is None else symbol for row in found],
                "size": 10,
                "color": color,
            },
            text=[text_of(row.system) for row in found],
            customdata=[row.paper_params_m for row in found],
            hovertemplate="%{text}<br>%{x:.2f} M (printed %{customdata:.2f} M), %{y:.2f} %<extra></extra>",
        )
    return figure
