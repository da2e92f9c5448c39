"""The report of a study: one HTML page that needs no network, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skexplore.analysis import (
    Importances,
    checklist,
    counters,
    importances,
    knee,
    noise_groups,
    pareto_table,
    placed_table,
    placement_table,
    search_findings,
)
from skexplore.errors import UserError
from skexplore.paper import TABLES
from skexplore.report.ablation import write_ablation_report
from skexplore.report.page_data import CURVES, figures_json, page_data, rows_of
from skexplore.report.write import write_files
from skexplore.study import Study, compare_specs

MANY = 200  # trained trials above which the placement tables of the page show the front only


def write_report(study: Study, out: Path, beside: Sequence[Study] = ()) -> list[Path]:
    """Write the report of ``study`` into the folder ``out`` and return the paths written.

    ``index.html`` (self-contained), ``report.md``, ``trials.csv``, ``pareto.csv``, ``placement.csv`` and
    ``findings.json``. Numbers in the data files are not rounded; errors are fractions there and % on the
    page. beside: studies whose fronts and incumbents are drawn with it. The same studies give the same bytes. An
    ablation has files of its own, see ``write_ablation_report``.
    Raises ``UserError`` if a study is not comparable and ``OSError`` if the folder cannot be written.
    """
    alone = [each.spec.name for each in (study, *beside) if each.spec.ablation is not None]
    if beside and alone:
        raise UserError(f"{', '.join(alone)}: an ablation is reported by itself; give one study at a time")
    if study.spec.ablation is not None:
        return write_ablation_report(study, out)
    names = Counter(other.spec.name for other in beside)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{', '.join(twice)}: given twice; give each study once")
    others = [_compared(study, other) for other in beside]
    weights = importances(study)
    found = _findings(study, beside, others, weights)
    data = page_data(study)
    drawings = data.pop("drawings")
    return write_files(
        out,
        tables={"trials": study.trials(), "pareto": pareto_table(study), "placement": placement_table(study)},
        findings=found,
        template="search",
        content=_content(study, found, data["front"]),
        data={"data": data, "drawings": drawings, "figures": figures_json(study, weights, beside)},
    )


def _compared(study: Study, other: Study) -> dict[str, Any]:
    """Return what is said of ``other`` beside ``study``; raises ``UserError`` where errors cannot be compared."""
    found, best = compare_specs(study, other), other.best()
    if found.refusals:
        raise UserError(
            f"{other.spec.name} cannot be laid over {study.spec.name}: {' '.join(found.refusals)} Report each by itself"
        )
    return {
        "study": other.spec.name,
        "trained": counters(other)["trained"],
        "best_block": best.block if best else None,
        "best_val_error": best.val_error if best else None,
        "labels": list(found.labels),
    }


def _findings(
    study: Study, beside: Sequence[Study], others: list[dict[str, Any]], weights: Importances
) -> dict[str, Any]:
    """Return the content of ``findings.json``."""
    turn = knee(study.front(), lambda record: record.ref_macs)
    return search_findings(study) | {
        "knee": turn.number if turn else None,
        "noise_groups": [list(group) for group in noise_groups(study, lambda record: record.ref_macs)],
        "importances": asdict(weights) | {"shares": dict(weights.shares)},
        "checklist": [asdict(item) for item in checklist(study, beside)],
        "beside": others,
    }


def _content(study: Study, found: dict[str, Any], front: Sequence[int]) -> dict[str, Any]:
    """Return what the templates name beside the findings; front: its positions in the page's data."""
    many = found["counters"]["trained"] > MANY
    return {
        "spec": study.spec,
        "shell_name": shlex.quote(study.spec.name),
        "placed": {t: rows_of(placed_table(study, t, front_only=many)) for t in TABLES},
        "placed_front_only": many,
        "front_positions": front,
        "statuses": Counter(record.status for record in study.records),
        "has_curves": any(len(record.curve) > 1 for record in study.records),
        "has_images": any(record.images for record in study.searched),
        "curves_cut": sum(bool(record.curve) for record in study.records) > CURVES,
    }
