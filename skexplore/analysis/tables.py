"""From a study to tables: pure functions, nothing drawn, nothing written.

Errors are fractions 0..1, costs plain numbers (multiply-adds, parameters), as in the records.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from skexplore.analysis.noise import errors_by_key
from skexplore.arch import REFERENCE, Backbone, Cost
from skexplore.paper import Placement, anchor_names, place_cost, table_rows, tables_of
from skexplore.study import Record, Study

PLACEMENT_COLUMNS = (
    "number", "block", "table", "row_below", "row_above", "nearest",
    "params_diff_pct", "macs_diff_pct", "matched",
)  # fmt: skip
ANCHOR_COLUMNS = (
    "arch_id", "block", "name", "n", "mean", "sd", "min", "max",
    "ref_params", "ref_macs", "proxy_params", "proxy_macs",
)  # fmt: skip
TIMELINE_COLUMNS = ("position", "status", "origin", "lane", "begin", "seconds")
CURVE_COLUMNS = ("position", "status", "origin", "epoch", "val_error")
PLACED_COLUMNS = (
    "kind", "number", "name", "block", "ref_params", "ref_macs", "printed_params_m", "printed_gflops",
    "published_error_pct", "val_error", "n", "on_front",
)  # fmt: skip


def _table(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return ``rows`` as a table; ``None`` stays empty and whole numbers stay whole beside it."""
    table = pd.DataFrame(list(rows), columns=pd.Index(columns))
    for name in ("number", "n"):
        if name in columns:
            table[name] = table[name].astype("Int64")
    for name in ("val_error", "sd"):
        if name in columns:
            table[name] = table[name].astype("float64")
    return table


def pareto_table(study: Study) -> pd.DataFrame:
    """Return the front in (val error, reference macs), ordered by macs; columns of ``trials.csv``."""
    return study.table(study.front)


def curves_table(study: Study, *, most: int | None = None) -> pd.DataFrame:
    """Return the learning curves: one row per record and epoch, ``val_error`` after it.

    position: that of the record in the study. With more than ``most`` trained records only the anchors', the
    front's and as many others, evenly spaced, are there.
    """
    curves = [(position, record) for position, record in enumerate(study.records) if record.curve]
    if most is not None and len(curves) > most:
        front = {id(record) for record in study.front}
        kept = [(p, r) for p, r in curves if r.origin == "anchor" or id(r) in front]
        others = [(p, r) for p, r in curves if not (r.origin == "anchor" or id(r) in front)]
        curves = sorted(kept + others[:: max(1, -(-len(others) // most))], key=lambda each: each[0])
    rows = (
        {"position": position, "status": record.status, "origin": record.origin}
        | {"epoch": e.epoch, "val_error": e.val_error}
        for position, record in curves
        for e in record.curve
    )
    return _table(rows, CURVE_COLUMNS)


def timeline_table(study: Study) -> pd.DataFrame:
    """Return when each training ran: one row per record that says so, in the order in which they began.

    begin, seconds: from the first of them, and how long, as if in one piece. lane: the first that was free. There are
    as many as workers, and more where a training was stopped on the way and went on later.
    """
    found = [(position, record.trained_in) for position, record in enumerate(study.records)]
    ran = sorted((span, position) for position, span in found if span is not None)
    free: list[datetime] = []  # when the last training of each lane ended
    rows = []
    for (begin, end), position in ran:
        # moments are whole seconds
        lane = next((at for at, last in enumerate(free) if last <= begin + timedelta(seconds=1)), len(free))
        free[lane : lane + 1] = [end]
        record = study.records[position]
        rows.append(
            {
                "position": position,
                "status": record.status,
                "origin": record.origin,
                "lane": lane + 1,
                "begin": (begin - ran[0][0][0]).total_seconds(),
                "seconds": record.seconds,
            }
        )
    return _table(rows, TIMELINE_COLUMNS)


def _trained(study: Study) -> list[Record]:
    """Return one record for each trained architecture of the search."""
    found: dict[str, Record] = {}
    for record in study.searched:
        if record.origin == "search" and record.status in ("complete", "stopped"):
            found.setdefault(record.arch_id, record)
    return list(found.values())


def trained_keys(study: Study) -> set[str]:
    """Return the replay keys of what the search trained: network, recipe, split and seed of each."""
    return {r.key for r in study.searched if r.status in ("complete", "stopped")}


def placement_table(study: Study) -> pd.DataFrame:
    """Return where each trained block of the search stands on Tables 3, 6 and 7: one row per block and table.

    Placement is by complexity at the reference, see ``paper.Placement``; tied rows are joined by " | ".
    """
    rows = (_placement_row(record, at) for record in _trained(study) for at in places(study, record))
    return _table(rows, PLACEMENT_COLUMNS)


def places(study: Study, record: Record) -> tuple[Placement, ...]:
    """Return where a record's block stands on the tables of its reference, by its stored cost there."""
    own = Cost(params=record.ref_params, macs=record.ref_macs)
    return place_cost(own, study.spec.reference_body)


def _placement_row(record: Record, at: Placement) -> dict[str, Any]:
    return {
        "number": record.number,
        "block": record.block,
        "table": at.table,
        "row_below": " | ".join(at.below),
        "row_above": " | ".join(at.above),
        "nearest": " | ".join(at.nearest),
        "params_diff_pct": at.params_diff_pct,
        "macs_diff_pct": at.macs_diff_pct,
        "matched": at.matched,
    }


def placed_table(study: Study, table: int, *, front_only: bool = False) -> pd.DataFrame:
    """Return a published table with the trials set in their place, all ordered by macs, then params.

    kind: ``published`` or ``trial``. Costs are our count at the reference, printed ones beside them.
    published_error_pct is an ImageNet error in %; val_error is the error under the study's recipe: a trial's
    own, or the mean of ``n`` seeds where the published block was trained as an anchor.
    """
    anchors = {row["arch_id"]: row for row in anchors_table(study).to_dict("records")}
    front = {record.number for record in study.front}
    rows: list[dict[str, Any]] = []
    for row in table_rows(table, study.spec.reference_body):
        anchor = anchors.get(row.id)
        rows.append(
            dict.fromkeys(PLACED_COLUMNS)
            | {"kind": "published", "name": row.system, "block": row.block, "on_front": False}
            | {"ref_params": row.ours.params, "ref_macs": row.ours.macs}
            | {"printed_params_m": row.params_m, "printed_gflops": row.gflops}
            | {"published_error_pct": row.top1_error_pct}
            | ({"val_error": anchor["mean"], "n": anchor["n"]} if anchor else {})
        )
    for record in _trained(study):
        if front_only and record.number not in front:
            continue
        rows.append(
            dict.fromkeys(PLACED_COLUMNS)
            | {"kind": "trial", "number": record.number, "name": record.status, "block": record.block}
            | {"ref_params": record.ref_params, "ref_macs": record.ref_macs, "n": 1}
            | {"val_error": record.val_error, "on_front": record.number in front}
        )
    rows.sort(
        key=lambda row: (row["ref_macs"], row["ref_params"])
    )  # stable: published rows first among equals
    return _table(rows, PLACED_COLUMNS)


def published_table(reference: Backbone = REFERENCE) -> pd.DataFrame:
    """Return the rows beside blocks of ``reference`` with our count: table, name, block, ref_params, ref_macs."""
    rows = (
        {"table": row.table, "name": row.system, "block": row.block}
        | {"ref_params": row.ours.params, "ref_macs": row.ours.macs}
        for table in tables_of(reference)
        for row in table_rows(table, reference)
    )
    return _table(rows, ("table", "name", "block", "ref_params", "ref_macs"))


def anchors_table(study: Study) -> pd.DataFrame:
    """Return one row per anchor: its name in the paper, n seeds, mean, sd, min and max of val error, and costs.

    Only complete trainings count. sd is empty below two seeds; an anchor without any has no row.
    """
    names = anchor_names(study.spec.reference_body)
    groups: dict[str, list[Record]] = {}
    for record in study.anchors:
        groups.setdefault(record.arch_id, []).append(record)
    rows = []
    for key, records in groups.items():
        errors = list(errors_by_key(records).values())
        if not errors:
            continue
        first = records[0]
        rows.append(
            {name: getattr(first, name, None) for name in ANCHOR_COLUMNS}
            | {"name": names.get(key, first.block), "n": len(errors), "mean": statistics.fmean(errors)}
            | {"sd": statistics.stdev(errors) if len(errors) > 1 else None}
            | {"min": min(errors), "max": max(errors)}
        )
    return _table(rows, ANCHOR_COLUMNS)


def anchor_table(study: Study) -> int:
    """Return the table of the paper beside which the blocks of a study are named: 7, of light networks 4."""
    return tables_of(study.spec.reference_body)[-1]


def nearest_row(study: Study, record: Record) -> str:
    """Return the rows of ``anchor_table`` nearest in complexity, ties joined by " | "."""
    return " | ".join(places(study, record)[-1].nearest)
