"""From the curves of trainings of whole networks to their plotly figure."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from skexplore.report.figures.comparison import STYLES
from skexplore.report.figures.style import empty, percent, span, text_of

FEW = 20  # epochs of which each has its tick and its mark


def fit_curves_figure(curves: pd.DataFrame) -> go.Figure:
    """Return the validation error after each epoch: thin for a training, thick for the mean of a network's.

    curves: ``analysis.fit_curves_table``. A mean reaches as far as all trainings of the network do.
    """
    figure = empty("Epoch", "Validation error, %")
    few = curves["epoch"].max() <= FEW
    figure.update_xaxes(tickformat=",d", **({"dtick": 1} if few else {}))
    figure.update_yaxes(range=span([100 * error for error in curves["val_error"]], least=1.0))
    for number, (network, rows) in enumerate(curves.groupby("network", sort=False)):
        color, dash = STYLES[number % len(STYLES)]
        seeds = rows["seed"].nunique()
        line = {"color": color, "dash": dash, "width": 2.6}
        if seeds > 1:
            x: list[int | None] = []
            y: list[float | None] = []
            for _, own in rows.groupby("seed", sort=False):
                x += [*own["epoch"], None]
                y += [*percent(own["val_error"]), None]
            thin = {"mode": "lines", "line": {"color": color, "width": 1}, "opacity": 0.55}
            figure.add_scatter(x=x, y=y, **thin, hoverinfo="skip", legendgroup=str(network), showlegend=False)
        of_all = rows.groupby("epoch")["val_error"].agg(["mean", "count"])
        means = of_all[of_all["count"] == seeds]["mean"]
        words = f"{text_of(network)}, {'one training' if seeds == 1 else f'mean of {seeds}'}"
        figure.add_scatter(
            x=[*means.index],
            y=percent(means),
            mode="lines+markers" if few else "lines",
            name=words,
            legendgroup=str(network),
            line=line,
            hovertemplate=f"{words}: %{{y:.2f}} %<br>after epoch %{{x}}<extra></extra>",
        )
    return figure
