"""The report of a study: one HTML page that needs no network, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from skexplore import analysis, figure_files
from skexplore.checklist import checklist
from skexplore.comparable import compare_specs
from skexplore.errors import UserError
from skexplore.files import write_atomic
from skexplore.fronts import knee, noise_groups
from skexplore.importance import Importances, importances
from skexplore.page import CURVES, compact, figures_json, packed, page_data, rows_of
from skexplore.published import TABLES
from skexplore.record import Study
from skexplore.render import Environment, environment, template_source

MANY = 200  # trained trials above which the placement tables of the page show the front only
STATUS_WORDS = {"over_budget": "over budget"}


def write_report(study: Study, out: Path, beside: Sequence[Study] = ()) -> list[Path]:
    """Write the report of ``study`` into the folder ``out`` and return the paths written.

    ``index.html`` (self-contained), ``report.md``, ``trials.csv``, ``pareto.csv``, ``placement.csv`` and
    ``findings.json``. Numbers in the data files are not rounded; errors are fractions there and % on the
    page. beside: studies whose fronts and incumbents are drawn with it. The same studies give the same bytes.
    Raises ``UserError`` if a study is not comparable and ``OSError`` if the folder cannot be written.
    """
    names = Counter(other.spec.name for other in beside)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{', '.join(twice)}: given twice; give each study once")
    others = [_compared(study, other) for other in beside]
    weights = importances(study)
    found = _findings(study, beside, others, weights)
    content = _content(study, found, beside, weights)
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


def _compared(study: Study, other: Study) -> dict[str, Any]:
    """Return what is said of ``other`` beside ``study``; raises ``UserError`` where errors cannot be compared."""
    found, best = compare_specs(study, other), other.best()
    if found.refusals:
        raise UserError(
            f"{other.spec.name} cannot be laid over {study.spec.name}: {' '.join(found.refusals)} Report each by itself"
        )
    return {
        "study": other.spec.name,
        "trained": analysis.counters(other)["trained"],
        "best_block": best.block if best else None,
        "best_val_error": best.val_error if best else None,
        "labels": list(found.labels),
    }


def _findings(
    study: Study, beside: Sequence[Study], others: list[dict[str, Any]], weights: Importances
) -> dict[str, Any]:
    """Return the content of ``findings.json``."""
    turn = knee(study.front(), lambda record: record.ref_macs)
    return analysis.findings(study) | {
        "knee": turn.number if turn else None,
        "noise_groups": [list(group) for group in noise_groups(study, lambda record: record.ref_macs)],
        "importances": asdict(weights) | {"shares": dict(weights.shares)},
        "checklist": [asdict(item) for item in checklist(study, beside)],
        "beside": others,
    }


def _content(
    study: Study, found: dict[str, Any], beside: Sequence[Study], weights: Importances
) -> dict[str, Any]:
    """Return everything the templates name."""
    many = found["counters"]["trained"] > MANY
    placed = {t: rows_of(analysis.placed_table(study, t, front_only=many)) for t in TABLES}
    data = page_data(study)
    drawings = data.pop("drawings")
    return {
        "f": found,
        "spec": study.spec,
        "shell_name": shlex.quote(study.spec.name),
        "placed": placed,
        "placed_front_only": many,
        "front_positions": data["front"],
        "statuses": Counter(record.status for record in study.records),
        "has_curves": any(len(record.curve) > 1 for record in study.records),
        "has_images": any(record.images for record in study.searched),
        "curves_cut": sum(bool(record.curve) for record in study.records) > CURVES,
        "data": {
            "data": packed(compact(data)),
            "drawings": packed(compact(drawings)),
            "figures": packed(compact(figures_json(study, weights, beside))),
        },
    }


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
    env.filters |= FILTERS
    env.globals["plotly_js"] = packed(figure_files.plotly_js())
    env.globals["source"] = lambda name: Markup(template_source(name))
    return env


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
