"""The tables of the SKNet paper as printed, and the placement of a block on Tables 3, 6 and 7, or 4, by our own count.

Placement is by complexity alone: the printed errors are ImageNet errors and belong to another protocol.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from skexplore.arch import (
    REFERENCE,
    Backbone,
    Blocks,
    Cost,
    SKBlock,
    cost,
    get_backbone,
    get_reference,
    parse_blocks,
    resolution_text,
)
from skexplore.errors import check_one_of
from skexplore.paper.networks import SYSTEMS, system_cost

# those with complexity and error side by side, on which blocks are placed: in networks with groups, and in light ones
TABLES, LIGHT_TABLES = (3, 6, 7), (4,)
ANCHOR_SETS = ("two", "table6", "table7", "all", "none")
MATCH_PCT = 1.0  # "matched complexity": within this many percent in params and in macs


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedRow:
    """A row of a table as printed: digits stay text, what the table does not give is empty.

    definition: name of the system (``networks.SYSTEMS``) that it is, empty where it is not built here. Errors in
    %, params in 10^6, gflops in 10^9 multiply-adds.
    """

    table: str
    row: int
    system: str
    definition: str
    top1_error_pct: str
    top1_error_320_pct: str
    cifar10_error_pct: str
    cifar100_error_pct: str
    params_m: str
    gflops: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A row of Table 3, 4, 6 or 7 (error in %, params in 10^6, gflops in 10^9 multiply-adds) and our count of it.

    definition: its name among ``SYSTEMS``. id: of its network, see ``Architecture.id``.
    """

    table: int
    row: int
    system: str
    block: str
    backbone: str
    definition: str
    id: str
    top1_error_pct: float
    params_m: float
    gflops: float
    ours: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a block stands in a table by complexity.

    below, above: nearest rows in the order of (macs, params), all ties, empty at the ends. nearest: the rows
    nearest in (ln params, ln macs), all ties. Differences are the block's excess over them in %. matched:
    both differences within 1 %. relation: in (params, macs) the block ``equals``, ``dominates``, ``is
    dominated by`` or ``trades off against`` the nearest rows.
    """

    table: int
    below: tuple[str, ...]
    above: tuple[str, ...]
    nearest: tuple[str, ...]
    params_diff_pct: float
    macs_diff_pct: float
    matched: bool
    relation: str


@lru_cache(maxsize=1)
def printed_rows() -> tuple[PrintedRow, ...]:
    """Return every row of Tables 1-7, S8 and S9 as printed, in their order."""
    text = files("skexplore.paper").joinpath("published.csv").read_text(encoding="utf-8")
    lines = csv.DictReader(text.splitlines())
    return tuple(PrintedRow(**line | {"row": int(line["row"])}) for line in lines)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def published_rows() -> tuple[PublishedRow, ...]:
    """Return every row of Tables 3, 4, 6 and 7 in printed order."""
    rows = []
    for line in printed_rows():
        if line.table not in map(str, (*TABLES, *LIGHT_TABLES)):
            continue
        system = SYSTEMS[line.definition]
        rows.append(
            PublishedRow(
                table=int(line.table),
                row=line.row,
                system=line.system,
                block=system.block,
                backbone=system.backbone,
                definition=line.definition,
                id=system.architecture().id,
                top1_error_pct=float(line.top1_error_pct),
                params_m=float(line.params_m),
                gflops=float(line.gflops),
                ours=system_cost(system),
            )
        )
    return tuple(rows)


@lru_cache(maxsize=16)
def rows_beside(reference: Backbone) -> tuple[PublishedRow, ...]:
    """Return the rows beside which blocks of ``reference`` stand, counted for images of its size."""
    found = []
    for row in published_rows():
        if row.table in tables_of(reference):
            own = SYSTEMS[row.definition].architecture()
            body = get_backbone(f"{row.backbone}@{resolution_text(reference.resolution)}")
            there = replace(own, backbone=body)
            found.append(row if there == own else replace(row, ours=there.cost(), id=there.id))
    return tuple(found)


def table_rows(table: int, reference: Backbone = REFERENCE) -> list[PublishedRow]:
    """Return the rows of one table in the order of placement: by macs, then params."""
    rows = [row for row in rows_beside(reference) if row.table == table]
    return sorted(rows, key=lambda row: (row.ours.macs, row.ours.params, row.row))


def anchor_blocks(which: str) -> tuple[str, ...]:
    """Return the distinct blocks of published rows to be trained as anchors.

    which: ``two`` (K3 and the paper's block), ``table6``, ``table7``, ``all`` (of these) or ``none``; another
    word is a ``UserError``.
    """
    rows = {table: [row.block for row in published_rows() if row.table == table] for table in (6, 7)}
    two = ["k3", "k3+k3d2"]
    choices = dict(zip(ANCHOR_SETS, (two, rows[6], rows[7], two + rows[7] + rows[6], []), strict=True))
    check_one_of("--anchors", which, choices)
    return tuple(dict.fromkeys(choices[which]))


def named_blocks(text: str) -> Blocks:
    """Return the blocks of a row of Table 6 or 7 by its name, ``K3+K5`` for ``K3+K5 SK``, or of block notation.

    K5 and K7 of Table 7 are dilated 3x3 kernels: ``K3+K5`` is ``k3+k3d2``, the paper's block. Raises ``UserError``.
    """
    rows = {row.system.removesuffix(" SK"): row.block for row in published_rows() if row.table in (6, 7)}
    return parse_blocks(rows.get(text.strip().removesuffix(" SK"), text))


def anchor_names(reference: Backbone = REFERENCE) -> dict[str, str]:
    """Return the ids of the networks of Table 7, or 4 of light ones, with the names that they have there."""
    return {row.id: row.system for row in rows_beside(reference) if row.table == tables_of(reference)[-1]}


def tables_of(reference: Backbone) -> tuple[int, ...]:
    """Return the tables on which blocks of this reference are placed: 3, 6 and 7, or 4 of light networks."""
    return LIGHT_TABLES if reference.unit.depthwise else TABLES


def place(block: str | SKBlock | Blocks, reference: str | Backbone = REFERENCE) -> tuple[Placement, ...]:
    """Return the placement of ``block`` on Tables 3, 6 and 7, in a light ``reference`` on Table 4.

    Raises ``UserError`` if it cannot be built.
    """
    body = get_reference(reference) if isinstance(reference, str) else reference
    return place_cost(cost(block, body), body)


def place_cost(own: Cost, reference: Backbone = REFERENCE) -> tuple[Placement, ...]:
    """Return the placement of a cost at the reference on its tables, the rows counted for images of the same size."""
    return tuple(_place_on(table, own, reference) for table in tables_of(reference))


def _place_on(table: int, own: Cost, reference: Backbone) -> Placement:
    rows = table_rows(table, reference)
    here = (own.macs, own.params)
    below = [row for row in rows if (row.ours.macs, row.ours.params) < here]
    above = [row for row in rows if (row.ours.macs, row.ours.params) > here]
    shortest = min(_distance(row.ours, own) for row in rows)
    nearest = [row for row in rows if math.isclose(_distance(row.ours, own), shortest, abs_tol=1e-12)]
    one = nearest[0].ours
    params_diff = 100 * (own.params / one.params - 1)
    macs_diff = 100 * (own.macs / one.macs - 1)
    return Placement(
        table=table,
        below=_tied_with(below[-1], below) if below else (),
        above=_tied_with(above[0], above) if above else (),
        nearest=tuple(row.system for row in nearest),
        params_diff_pct=params_diff,
        macs_diff_pct=macs_diff,
        matched=abs(params_diff) <= MATCH_PCT and abs(macs_diff) <= MATCH_PCT,
        relation=_relation(own, one),
    )


def _distance(a: Cost, b: Cost) -> float:
    return math.hypot(math.log(a.params / b.params), math.log(a.macs / b.macs))


def _tied_with(row: PublishedRow, rows: list[PublishedRow]) -> tuple[str, ...]:
    return tuple(r.system for r in rows if (r.ours.macs, r.ours.params) == (row.ours.macs, row.ours.params))


def _relation(own: Cost, other: Cost) -> str:
    if (own.params, own.macs) == (other.params, other.macs):
        return "equals"
    if own.params <= other.params and own.macs <= other.macs:
        return "dominates"
    if own.params >= other.params and own.macs >= other.macs:
        return "is dominated by"
    return "trades off against"
