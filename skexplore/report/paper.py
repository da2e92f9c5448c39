"""Figure 2 of the paper as a page and as a picture, from the rows of Table S9."""

from __future__ import annotations

from collections.abc import Sequence

from skexplore.paper import ReproducedRow
from skexplore.report.figures.files import to_picture
from skexplore.report.figures.sizes import sizes_figure

_TITLE = "Error over parameters (Figure 2 of the SKNet paper)"


def figure_2(rows: Sequence[ReproducedRow]) -> str:
    """Return a page with the plot that needs no network: printed errors over the parameters that we count."""
    figure = sizes_figure(_drawn(rows))
    figure.update_layout(title=_TITLE, paper_bgcolor="#ffffff", font_color="#1f2328", margin_t=48)
    page = str(figure.to_html(include_plotlyjs=True, full_html=True, div_id="figure2"))
    head = f'<head><title>{_TITLE}</title><meta name="viewport" content="width=device-width">'
    return page.replace("<head>", head, 1)


def figure_2_picture(rows: Sequence[ReproducedRow], kind: str) -> bytes:
    """Return the plot as a picture; kind: ``svg`` or ``png``. Raises ``UserError`` as ``to_picture`` does."""
    return to_picture(sizes_figure(_drawn(rows)), kind, width=860, height=520)


def _drawn(rows: Sequence[ReproducedRow]) -> list[ReproducedRow]:
    return [row for row in rows if row.table == "S9"]
