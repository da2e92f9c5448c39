"""What the HTML page of a report holds beside its text and figures: the data that its script shows on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from skexplore.analysis import believed_levels, may_be_best, places
from skexplore.arch import TRAITS, Architecture, block_svg, placed_rows
from skexplore.report.plots import front_of, positions
from skexplore.study import Record, Study, drawn_together

DRAWS = 400  # of true errors: the standard deviation of a difference is within 4 % then, and the page small
MOST_DRAWN = 500  # blocks
_TEXT = re.compile(r"(?<=>)[^<>]+(?=<)")  # of an SVG

SHOWN = (
    "number", "origin", "block", "status", "val_error", "ref_macs", "ref_params", "proxy_macs", "proxy_params",
    "epochs", "seed", "seconds", "reason", "sampler", "rung", "images", "arch_id", "net_id", "key", "replay_of",
)  # fmt: skip


def page_data(study: Study) -> dict[str, Any]:
    """Return all that the page's script shows of single trials, as plain JSON data.

    rows: a list for each record (its position is its identity in the page), in the order of ``columns``; curves:
    validation errors per epoch; front, best: positions; may_be_best: whether a point of the front may be the best;
    eligible: positions of what may be on a front; budgets: by the column of the cost that they limit; by block
    estimates, places, made_of (traits, d at each stage, activations, and the latency where it was measured), drawings
    (see ``folded``) and, of a search that is no longer than can be shown so, draws of true errors in %; levels: mean
    believed errors, fractions, by decision and level; flops: the unit of multiply-adds at the reference; latency: how
    latencies were measured, None where they were not.
    """
    marks = may_be_best(study)
    front = front_of(study, "ref_macs").rows
    blocks = {record.block: record for record in study.records}
    best = study.best
    measured = ((record.block, record.ref_latency_ms) for record in study.records)
    latencies = {block: {"ref_latency_ms": own} for block, own in measured if own is not None}
    return {
        "study": study.spec.name,
        "columns": SHOWN,
        "rows": [[_shown(record, name) for name in SHOWN] for record in study.records],
        "curves": [[epoch.val_error for epoch in record.curve] for record in study.records],
        "front": front,
        "best": None if best is None else positions(study, [best])[0],
        "draws": _draws(study),
        "levels": believed_levels(study),
        "estimates": {block: asdict(found) for block, found in study.estimates.items()},
        "eligible": positions(study, study.eligible()),
        "budgets": {
            {"gflops": "ref_macs"}.get(bound.cost, f"ref_{bound.cost}"): bound.limit
            for bound in study.spec.bounds
            if not bound.of_space
        }
        | ({"ref_latency_ms": study.spec.budget_latency_ms} if study.spec.budget_latency_ms else {}),
        "traits": [*TRAITS, *(["body"] if study.spec.decides_body else [])],
        "latency": study.spec.latency and study.spec.latency.words,
        "made_of": {
            block: study.spec.traits(record)
            | _placed(study.spec.at_reference(block))
            | latencies.get(block, {})
            for block, record in blocks.items()
        },
        "may_be_best": {position: marks[study.records[position].number] for position in front},
        "places": {record.block: _places(study, record) for record in study.records},
        "drawings": folded({block: _drawn(study.spec.at_reference(block)) for block in blocks}),
        "reference": study.spec.reference_words,
        "flops": [study.spec.flops_unit.name, study.spec.flops_unit.scale],
    }


def _draws(study: Study) -> dict[str, list[float]]:
    if study.answer is None or study.model is None or len(study.model.blocks) > MOST_DRAWN:
        return {}
    return drawn_together(study.model, DRAWS)


def _shown(record: Record, name: str) -> Any:
    return round(record.seconds, 1) if name == "seconds" else getattr(record, name)


def _drawn(own: Architecture) -> str:
    return block_svg(own.blocks, own.backbone)


def folded(drawings: Mapping[str, str]) -> dict[str, Any]:
    """Return SVG drawings without what many have in common, which is a fifth of the size of 20,000 drawings or less.

    frames: markup, with a NUL in the place of each text; texts; blocks: for each the position of its frame, then those
    of its texts.
    """
    frames: dict[str, int] = {}
    texts: dict[str, int] = {}
    blocks = {}
    for block, svg in drawings.items():
        frame = frames.setdefault(_TEXT.sub("\0", svg), len(frames))
        blocks[block] = [frame, *(texts.setdefault(text, len(texts)) for text in _TEXT.findall(svg))]
    return {"frames": [*frames], "texts": [*texts], "blocks": blocks}


def _placed(own: Architecture) -> dict[str, Any]:
    """Return the activations of a block, and d in each stage: a text where the stage's units differ."""
    dims = [row["d"] for row in placed_rows(own)]
    said = [
        None if not isinstance(each, list) else each[0] if len(each) == 1 else "/".join(map(str, each))
        for each in dims
    ]
    return {"d": said if any(said) else None, "ref_activations": own.cost().activations}


def _places(study: Study, record: Record) -> list[list[Any]]:
    return [
        [at.table, " | ".join(at.nearest), at.params_diff_pct, at.macs_diff_pct, at.matched]
        for at in places(study, record)
    ]


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table with None where a value is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
