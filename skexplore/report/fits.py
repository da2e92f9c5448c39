"""The report of trainings of whole networks: one HTML page, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skexplore.analysis import (
    FitsFound,
    fit_curves_table,
    fits_findings,
    fits_table,
    in_print,
    part_words,
)
from skexplore.report.figures import files as figure_files
from skexplore.report.figures.fits import fit_curves_figure
from skexplore.report.page_data import rows_of
from skexplore.report.plots import PICTURE_SIZE
from skexplore.report.write import write_files


def write_fit_report(found: FitsFound, out: Path) -> list[Path]:
    """Write what ``compare_fits`` found into the folder ``out`` and return the paths written.

    ``index.html`` (self-contained), ``report.md``, ``fits.csv``, ``curves.csv`` and ``findings.json``. Numbers in the
    data files are not rounded; errors are fractions there and % on the page. Equal trainings give equal bytes. Raises
    ``OSError`` if the folder cannot be written.
    """
    curves, rows = fit_curves_table(found), fits_table(found)
    return write_files(
        out,
        tables={"fits": rows, "curves": curves},
        findings=fits_findings(found),
        template="fits",
        content={
            "name": out.name,
            "spec": found.spec,
            "part": part_words(found),
            "printed": in_print(found),
            "rows": rows_of(rows),
            "drawn": bool(len(curves)),
        },
        data={"figures": {"curves": str(fit_curves_figure(curves).to_json())}}
        if len(curves)
        else {"figures": {}},
    )


def fits_picture(found: FitsFound, kind: str) -> bytes:
    """Return the curves as a picture; kind: ``svg`` or ``png``; raises ``UserError`` as ``to_picture``."""
    width, height = PICTURE_SIZE
    figure: Any = fit_curves_figure(fit_curves_table(found))
    return figure_files.to_picture(figure, kind, width=width, height=height)
