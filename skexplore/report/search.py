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
    confirmation_table,
    confirms,
    counters,
    finalists_words,
    importances,
    is_confirmation,
    knee,
    pareto_table,
    placed_table,
    placement_table,
    records_of,
    search_findings,
    trained_keys,
)
from skexplore.errors import UserError
from skexplore.paper import tables_of
from skexplore.report.ablation import write_ablation_report
from skexplore.report.figures.ablation import rows_height
from skexplore.report.figures.finalists import finalists_figure
from skexplore.report.page_data import page_data, rows_of
from skexplore.report.plots import CURVES, search_figures
from skexplore.report.write import write_files
from skexplore.study import Study, compare_specs
from skexplore.words import listed

MANY = 200  # trained trials above which the placement tables of the page show the front only


def write_report(study: Study, out: Path, beside: Sequence[Study] = (), *, refresh: int = 0) -> list[Path]:
    """Write the report of ``study`` into the folder ``out`` and return the paths written.

    ``index.html`` (self-contained), ``report.md``, ``trials.csv``, ``pareto.csv``, ``placement.csv`` and
    ``findings.json``. Numbers in the data files are not rounded; errors are fractions there and % on the
    page. beside: comparable searches, whose fronts and incumbents are drawn with it, and confirmations of this search,
    whose finalists are listed. refresh: seconds after which an open page loads itself anew, 0 for never. The same
    studies give the same bytes. An ablation has files of its own, see ``write_ablation_report``.
    Raises ``UserError`` if a study is not comparable and ``OSError`` if the folder cannot be written.
    """
    if study.spec.ablation is not None and not beside:
        return write_ablation_report(study, out, refresh=refresh)
    if len(beside) == 1 and _is_panel(study) and _is_panel(beside[0]):
        return write_ablation_report(study, out, beside[0], refresh=refresh)
    confirmations = [each for each in beside if confirms(each, study)]
    searches = [each for each in beside if each not in confirmations]
    _check_beside(study, beside, searches)
    others = [_compared(study, other) for other in searches]
    weights = importances(study)
    found = _findings(study, beside, others, weights) | {"confirmations": [*map(_confirmed, confirmations)]}
    data = page_data(study) | {"confirmed": _confirmed_errors(found["confirmations"])}
    drawings = data.pop("drawings")
    return write_files(
        out,
        tables={"trials": study.trials(), "pareto": pareto_table(study), "placement": placement_table(study)},
        findings=found,
        template="search",
        content=_content(study, found, data["front"]),
        data={
            "data": data,
            "drawings": drawings,
            "figures": search_figures(study, weights, searches) | _finalists(confirmations),
        },
        refresh=refresh,
    )


def _is_panel(study: Study) -> bool:
    """Whether ``study`` is an ablation that another one may be compared with, block by block."""
    return study.spec.ablation is not None and not is_confirmation(study)


def _check_beside(study: Study, beside: Sequence[Study], searches: Sequence[Study]) -> None:
    """Refuse what cannot stand in one report."""
    names = Counter(other.spec.name for other in beside)
    if twice := [name for name, count in names.items() if count > 1]:
        raise UserError(f"{', '.join(twice)}: given twice; give each study once")
    for each in searches:
        if is_confirmation(each) and study.spec.ablation is None:
            of = each.spec.ablation.of if each.spec.ablation else ""
            why = (
                f"it confirms {of}" if of != study.spec.name else "its finalists are not those of this search"
            )
            raise UserError(
                f"{each.spec.name}: does not confirm {study.spec.name}, {why}; report it by itself"
            )
    if alone := [each.spec.name for each in (study, *searches) if each.spec.ablation is not None]:
        raise UserError(
            f"{', '.join(alone)}: an ablation is reported by itself, or with another one of the same blocks trained "
            "longer; give one study at a time, or a search and then its confirmation"
        )


def _confirmed(confirmation: Study) -> dict[str, Any]:
    """Return what is said of a confirmation in the report of its search."""
    return {
        "study": confirmation.spec.name,
        "epochs": confirmation.spec.recipe.epochs,
        "said": finalists_words(confirmation),
        "rows": records_of(confirmation_table(confirmation)),
    }


def _finalists(confirmations: Sequence[Study]) -> dict[str, str]:
    """Return the figures of finalists, then and now, by the id of their element."""
    return {
        f"finalists-{number}": str(finalists_figure(confirmation_table(each)).to_json())
        for number, each in enumerate(confirmations, start=1)
    }


def _confirmed_errors(confirmations: Sequence[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return the mean errors that finalists have now, by block, and the 95 % interval of that on test."""
    return {
        row["variant"]: {
            "val": row["val_mean"],
            "test": row["test_mean"],
            "test_low": row["test_low"],
            "test_high": row["test_high"],
        }
        for each in confirmations
        for row in each["rows"]
    }


def _compared(study: Study, other: Study) -> dict[str, Any]:
    """Return what is said of ``other`` beside ``study``; raises ``UserError`` where errors cannot be compared."""
    found, best = compare_specs(study, other), other.best
    if found.refusals:
        raise UserError(
            f"{other.spec.name} cannot be drawn over {study.spec.name}: {' '.join(found.refusals)} "
            "Report each by itself"
        )
    own, theirs = trained_keys(study), trained_keys(other)
    shared = len(own & theirs)
    said = f"Shared: {shared} of {len(own)} trainings here are among its {len(theirs)} (same network, recipe and seed)."
    return {
        "study": other.spec.name,
        "trained": counters(other)["trained"],
        "best_block": best.block if best else None,
        "best_estimate": other.estimates[best.block].estimate if best else None,
        "labels": [*found.labels, *([said] if shared else [])],
    }


def _findings(
    study: Study, beside: Sequence[Study], others: list[dict[str, Any]], weights: Importances
) -> dict[str, Any]:
    """Return the content of ``findings.json``."""
    turn = knee(study.front, error_of=study.estimated)
    return search_findings(study) | {
        "knee": turn.number if turn else None,
        "importances": asdict(weights) | {"shares": dict(weights.shares)},
        "checklist": [asdict(item) | {"command": item.command} for item in checklist(study, beside)],
        "beside": others,
    }


def _content(study: Study, found: dict[str, Any], front: Sequence[int]) -> dict[str, Any]:
    """Return what the templates name beside the findings; front: its positions in the page's data."""
    many, tables = found["counters"]["trained"] > MANY, tables_of(study.spec.reference_body)
    return {
        "study": study,
        "spec": study.spec,
        "rows_height": rows_height,
        "own": not study.spec.searches,
        "shell_name": shlex.quote(study.spec.name),
        "placed": {t: rows_of(placed_table(study, t, front_only=many)) for t in tables},
        "tables": listed(map(str, tables), "and"),
        "nearest_table": tables[-1],
        "unit": study.spec.flops_unit,
        "flops": study.spec.flops_unit.of,
        "placed_front_only": many,
        "front_positions": front,
        "statuses": Counter(record.status for record in study.records),
        "curves_cut": sum(bool(record.curve) for record in study.records) > CURVES,
    }
