"""What the HTML page of a report holds beside its text: figures, and the data that its script shows on demand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

import pandas as pd

from skexplore.analysis import (
    Importances,
    anchors_table,
    curves_table,
    incumbent,
    knee,
    may_be_best,
    places,
    published_table,
    study_noise,
)
from skexplore.arch import REFERENCE, block_svg, parse_blocks, per_stage, traits_of
from skexplore.report.figures import course as figures_course, files as figure_files, front as figures
from skexplore.report.figures.style import Bar
from skexplore.study import Record, Study

CURVES = 200  # learning curves of other than anchors and the front in one plot
PICTURE_SIZE = (860, 520)  # pixels; the width of a README's column
SHOWN = (
    "number", "origin", "block", "status", "val_error", "ref_macs", "ref_params", "proxy_macs", "proxy_params",
    "epochs", "seed", "seconds", "reason", "sampler", "rung", "images", "arch_id", "net_id", "key", "replay_of",
)  # fmt: skip


def _noise_bar(study: Study) -> Bar | None:
    """Return the single errors that are not distinguishable from the lowest, None if they are not known."""
    errors, noise = [r.val_error for r in study.eligible() if r.val_error is not None], study_noise(study)
    if not errors or noise is None or noise.from_best is None:
        return None
    return Bar(best=min(errors), reach=noise.from_best)


def pareto_figure(study: Study, x: figures.Size, beside: Sequence[Study] = ()) -> Any:
    """Return the Pareto plot of ``study`` over ``x``, with the fronts of comparable studies ``beside`` it."""
    spec = study.spec
    budget = spec.max_macs if x == "ref_macs" else spec.max_params
    return figures.pareto_figure(
        study.trials(),
        _front(study, x),
        anchors_table(study),
        x=x,
        budget=budget if math.isfinite(budget) else None,
        bar=_noise_bar(study) if study.answer is None else None,
        own=spec.name,
        beside=[
            figures.Overlay(name=other.spec.name, front=other.table(other.front(attrgetter(x))))
            for other in beside
        ],
    )


def search_picture(study: Study, kind: str, beside: Sequence[Study] = ()) -> bytes:
    """Return the Pareto plot over reference GFLOPs as a picture for READMEs; kind: ``svg`` or ``png``.

    Needs the extra ``picture`` and a Chromium; raises ``UserError`` that names what is missing.
    """
    width, height = PICTURE_SIZE
    searches = [other for other in beside if other.spec.ablation is None]
    return figure_files.to_picture(
        pareto_figure(study, "ref_macs", searches), kind, width=width, height=height
    )


def figures_json(study: Study, importances: Importances, beside: Sequence[Study] = ()) -> dict[str, str]:
    """Return the figures of the page as JSON text by the id of their element."""
    trials, front = study.trials(), _front(study, "ref_macs")
    anchors, bar = anchors_table(study), _noise_bar(study)
    lowest = incumbent(study)
    others = {other.spec.name: incumbent(other) for other in beside}
    curves = curves_table(study, most=CURVES)
    drawn = {
        "pareto": pareto_figure(study, "ref_macs", beside),
        "placement": figures.placement_figure(published_table(), trials, front),
        "incumbent-images": figures_course.incumbent_figure(
            lowest, anchors, x="images", bar=bar, own=study.spec.name, beside=others
        ),
        "incumbent-trained": figures_course.incumbent_figure(
            lowest, anchors, x="trained", bar=bar, own=study.spec.name, beside=others
        ),
        "curves": figures_course.curves_figure(curves, front.rows, bar=bar),
        "importances": figures_course.importance_figure(importances.shares, importances.clear),
    }
    return {name: str(figure.to_json()) for name, figure in drawn.items()}


def page_data(study: Study) -> dict[str, Any]:
    """Return all that the page's script shows of single trials, as plain JSON data.

    rows: a list for each record (its position is its identity in the page), in the order of ``columns``; curves:
    validation errors per epoch; front, best: positions; may_be_best: whether a point of the front may be the best;
    eligible: positions of what may be on a front; budgets: by the column of the cost that they limit; by block
    estimates, places, made_of (traits, and d at each stage) and drawings.
    """
    marks = may_be_best(study)
    front = _front(study, "ref_macs").rows
    blocks = dict.fromkeys(record.block for record in study.records)
    best = study.best()
    return {
        "study": study.spec.name,
        "columns": SHOWN,
        "rows": [[getattr(record, name) for name in SHOWN] for record in study.records],
        "curves": [[epoch.val_error for epoch in record.curve] for record in study.records],
        "front": front,
        "best": None if best is None else _positions(study, [best])[0],
        "estimates": {block: asdict(found) for block, found in study.estimates.items()},
        "eligible": _positions(study, study.eligible()),
        "budgets": {
            name: limit
            for name, limit in (("ref_macs", study.spec.max_macs), ("ref_params", study.spec.max_params))
            if math.isfinite(limit)
        },
        "made_of": {block: _made_of(block) for block in blocks},
        "may_be_best": {position: marks[study.records[position].number] for position in front},
        "places": {record.block: _places(record) for record in study.records},
        "drawings": {block: block_svg(parse_blocks(block)) for block in blocks},
    }


def _made_of(block: str) -> dict[str, Any]:
    blocks = parse_blocks(block)
    placed = per_stage(blocks, len(REFERENCE.stages))
    dims = [
        each.dim(width) if each.selects else None
        for each, width in zip(placed, REFERENCE.widths, strict=True)
    ]
    return traits_of(blocks) | {"d": dims if any(dims) else None}


def _places(record: Record) -> list[list[Any]]:
    return [
        [at.table, " | ".join(at.nearest), at.params_diff_pct, at.macs_diff_pct, at.matched]
        for at in places(record)
    ]


def _positions(study: Study, records: Sequence[Record]) -> tuple[int, ...]:
    wanted = {(record.origin, record.number) for record in records}
    found = {
        (record.origin, record.number): position
        for position, record in enumerate(study.records)
        if (record.origin, record.number) in wanted
    }
    return tuple(found[record.origin, record.number] for record in records)


def _front(study: Study, x: figures.Size) -> figures.Front:
    records = study.front(attrgetter(x))
    turn = knee(records, attrgetter(x), study.estimated)
    numbers = {
        record.number: position for record, position in zip(records, _positions(study, records), strict=True)
    }
    return figures.Front(
        rows=tuple(numbers.values()),
        knee=None if turn is None else numbers[turn.number],
    )


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table with None where a value is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
