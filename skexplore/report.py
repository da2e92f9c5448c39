"""The report of a study: one HTML page that needs no network, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from skexplore import analysis, figure_files, figures
from skexplore.files import write_atomic
from skexplore.published import TABLES
from skexplore.record import Study
from skexplore.render import Environment, environment, template_source

MANY = 200  # trained trials above which the placement tables of the page show the front only
PICTURE_SIZE = (860, 520)  # pixels; the width of a README's column
STATUS_WORDS = {"over_budget": "over budget"}


def write_report(study: Study, out: Path) -> list[Path]:
    """Write the report of ``study`` into the folder ``out`` and return the paths written.

    ``index.html`` (self-contained), ``report.md``, ``trials.csv``, ``pareto.csv``, ``placement.csv`` and
    ``findings.json``. Numbers in the data files are not rounded; errors are fractions there and % on the
    page. The same study gives the same bytes. Raises ``OSError`` if the folder cannot be written.
    """
    found = analysis.findings(study)
    content = _content(study, found)
    texts = {
        "trials.csv": _csv(analysis.trials_table(study)),
        "pareto.csv": _csv(analysis.pareto_table(study)),
        "placement.csv": _csv(analysis.placement_table(study)),
        "findings.json": json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": _markdown().get_template("report.md.j2").render(content),
        "index.html": _page().get_template("report.html.j2").render(content),  # last: it links the others
    }
    for name, text in texts.items():
        write_atomic(out / name, text)
    return [out / name for name in texts]


def picture(study: Study) -> str:
    """Return the Pareto plot over reference GFLOPs as SVG text, for READMEs.

    Needs the extra ``picture`` and a Chromium; raises ``UserError`` that names what is missing.
    """
    figure = _pareto_figure(study, "ref_macs")
    return figure_files.to_svg(figure, width=PICTURE_SIZE[0], height=PICTURE_SIZE[1])


def _pareto_figure(study: Study, x: figures.Size) -> Any:
    spec = study.spec
    budget = spec.max_macs if x == "ref_macs" else spec.max_params
    front = study.front(lambda record: record.ref_macs if x == "ref_macs" else record.ref_params)
    return figures.pareto_figure(
        analysis.trials_table(study),
        analysis.records_table(front),
        analysis.anchors_table(study),
        x=x,
        budget=budget if math.isfinite(budget) else None,
        band=_band(study),
    )


def _band(study: Study) -> figures.Band | None:
    best, noise = study.best(), analysis.study_noise(study)
    if best is None or best.val_error is None or noise is None:
        return None
    return figures.Band(best=best.val_error, width=noise.least_difference)


def _figures(study: Study) -> dict[str, str]:
    """Return the figures of the page as JSON text by the id of their element."""
    trials, front = analysis.trials_table(study), analysis.pareto_table(study)
    anchors, band = analysis.anchors_table(study), _band(study)
    drawn = {
        "pareto-gflops": _pareto_figure(study, "ref_macs"),
        "pareto-params": _pareto_figure(study, "ref_params"),
        "placement": figures.placement_figure(analysis.published_table(), trials, front),
        "incumbent": figures.incumbent_figure(analysis.incumbent(study), anchors, band=band),
        "curves": figures.curves_figure(analysis.curves_table(study), front, band=band),
    }
    return {name: str(figure.to_json()) for name, figure in drawn.items()}


def _content(study: Study, found: dict[str, Any]) -> dict[str, Any]:
    """Return everything the templates name."""
    many = found["counters"]["trained"] > MANY
    placed = {t: _rows(analysis.placed_table(study, t, front_only=many)) for t in TABLES}
    return {
        "f": found,
        "spec": study.spec,
        "trials": _rows(analysis.trials_table(study)),
        "placed": placed,
        "placed_front_only": many,
        "front_numbers": {row["number"] for row in found["front"]},
        "has_curves": any(len(record.curve) > 1 for record in study.records),
        "has_images": any(record.images for record in study.searched),
        "figures": _figures(study),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows with None where a value is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, lineterminator="\n"))


def _number(pattern: str, unit: float = 1.0) -> Callable[[float | None], str]:
    def show(value: float | None) -> str:
        return "–" if value is None else format(value / unit, pattern).replace("-", "−")

    return show


def _duration(seconds: float) -> str:
    """Return seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


FILTERS: dict[str, Callable[..., Any]] = {
    "pct": _number(".2f", 0.01),
    "share": _number(".0f", 0.01),
    "giga": _number(".3f", 1e9),
    "mega": _number(".2f", 1e6),
    "kilo": _number(".1f", 1e3),
    "plain2": _number(".2f"),
    "signed": _number("+.1f"),
    "whole": _number(",.0f"),
    "duration": _duration,
    "status": lambda status: STATUS_WORDS.get(status, status),
    "breakable": lambda block: Markup(str(escape(block)).replace(";", ";<wbr>")),
}


def _page() -> Environment:
    env = environment()
    env.filters |= FILTERS | {"script_json": _script_json}
    env.globals["plotly_js"] = Markup(figure_files.plotly_js().replace("</script", "<\\/script"))
    env.globals["source"] = lambda name: Markup(template_source(name))
    return env


def _script_json(text: str) -> Markup:
    """Return JSON ``text`` so that nothing in it can end the script element that holds it."""
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _markdown() -> Environment:
    env = environment(finalize=_md_text)  # HTML's escapes are not Markdown's
    env.filters |= FILTERS | {"code": _md_code, "fenced": _md_fenced, "raw": Markup}
    return env


def _md_text(value: Any) -> Any:
    """Return text on one line in which no character is markup of Markdown or HTML."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", " ".join(value.split()))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _md_code(value: str) -> Markup:
    """Return a code span for a table cell."""
    line = " ".join(str(value).split()).replace("|", "\\|").replace("`", "'")
    return Markup(f"`{line}`")  # not HTML: the mark says that Markdown's escapes are done


def _md_fenced(value: str) -> Markup:
    """Return a fenced block that ``value`` cannot close."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", value)), default=0))
    return Markup(f"{fence}text\n{value}\n{fence}")
