"""The complexity columns of the paper's tables beside our own count of each row, in every accounting."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType

from skexplore.arch import Cost
from skexplore.errors import check_one_of
from skexplore.paper.networks import SYSTEMS, alternatives, system_cost
from skexplore.paper.outside import OUTSIDE, UNBUILT
from skexplore.paper.tables import PrintedRow, printed_rows

NONE: Mapping[str, Cost] = MappingProxyType({})
# what a row of the paper may have counted as params and as multiply-adds
PARAMS = ("params", "params+bn_stats")
MACS = ("macs", "macs+gate_macs", "macs+bn_elements", "macs+gate_macs+bn_elements")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedRow:
    """A printed row beside our count of one reading of it; a row that is not built has no count.

    definition: what is built; alternative: whether it is another reading than the one we hold. The paper's
    numbers in 10^6 params and 10^9 multiply-adds, ours for one image as in ``Cost``. Differences: ours over the
    paper's in %, of ``params`` and ``macs``. prints_as: the accountings that round to the digits of the paper.
    paper_error_pct: the printed top-1 error on ImageNet.
    """

    table: str
    system: str
    definition: str
    alternative: bool
    paper_params_m: float | None
    paper_gflops: float | None
    params: int | None = None
    bn_stats: int | None = None
    macs: int | None = None
    gate_macs: int | None = None
    bn_elements: int | None = None
    params_diff_pct: float | None = None
    macs_diff_pct: float | None = None
    prints_as: tuple[str, ...] = ()
    note: str = ""
    paper_error_pct: float | None = None


def table_names() -> list[str]:
    """Return the tables that can be asked for, in printed order."""
    return list(dict.fromkeys(row.table for row in printed_rows()))


def rows_of(table: str) -> list[PrintedRow]:
    """Return the printed rows of one table, or of all; raises ``UserError`` for another name."""
    check_one_of("--table", table, (*table_names(), "all"))
    return [row for row in printed_rows() if table in ("all", row.table)]


def reproduce(table: str = "all", outside: Mapping[str, Cost] = NONE) -> list[ReproducedRow]:
    """Return the rows of one table, or of all, other readings after the row; raises ``UserError`` for another name.

    outside: what was counted of networks of ``OUTSIDE``, by name; without it their rows have no count.
    """
    return [reading for row in rows_of(table) for reading in _readings(row, outside)]


def _readings(row: PrintedRow, outside: Mapping[str, Cost]) -> Iterator[ReproducedRow]:
    plain = ReproducedRow(
        table=row.table,
        system=row.system,
        definition="",
        alternative=False,
        paper_params_m=float(row.params_m) if row.params_m else None,
        paper_gflops=float(row.gflops) if row.gflops else None,
        paper_error_pct=float(row.top1_error_pct) if row.top1_error_pct else None,
    )
    if not row.definition:
        yield replace(plain, note=f"not buildable: {UNBUILT[row.system]}")
    elif row.definition in OUTSIDE:
        network, own = OUTSIDE[row.definition], outside.get(row.definition)
        if own is None:
            yield replace(plain, note=f"not counted: {network.definition} needs {network.package}")
        else:
            # gates and BatchNorm's elements of another package are not counted
            accounted = {name: accountings(own)[name] for name in (*PARAMS, "macs")}
            yield _counted(plain, row, f"{row.definition}: {network.definition}", own, accounted, network.why)
    else:
        for name in (row.definition, *alternatives(row.definition)):
            system, own = SYSTEMS[name], system_cost(name)
            reading = _counted(plain, row, f"{name}: {system.definition}", own, accountings(own), system.why)
            yield replace(
                reading,
                alternative=name != row.definition,
                gate_macs=own.gate_macs,
                bn_elements=own.bn_elements,
            )


def _counted(
    plain: ReproducedRow, row: PrintedRow, definition: str, own: Cost, accounted: dict[str, int], why: str
) -> ReproducedRow:
    """Return ``plain`` with the count ``own`` of a definition beside what is printed."""
    return replace(
        plain,
        definition=definition,
        params=own.params,
        bn_stats=own.bn_stats,
        macs=own.macs,
        params_diff_pct=_excess_pct(own.params / 1e6, row.params_m),
        macs_diff_pct=_excess_pct(own.macs / 1e9, row.gflops),
        prints_as=_prints_as(row, accounted),
        note="; ".join([*_differences(row, accounted), *([why] if why else [])]),
    )


def accountings(own: Cost) -> dict[str, int]:
    """Return every way to count ``own`` that a row of the paper may have used, by name."""
    gated = own.macs + own.gate_macs
    return {
        "params": own.params,
        "params+bn_stats": own.params + own.bn_stats,
        "macs": own.macs,
        "macs+gate_macs": gated,
        "macs+bn_elements": own.macs + own.bn_elements,
        "macs+gate_macs+bn_elements": gated + own.bn_elements,
    }


def _excess_pct(ours: float, printed: str) -> float | None:
    return round(100 * (ours / float(printed) - 1), 3) + 0.0 if printed else None  # + 0.0: never -0.0


def _rounds_to(count: int, unit: float, printed: str) -> bool:
    """Whether ``count`` in ``unit`` has the digits of ``printed`` when rounded to as many decimals."""
    decimals = len(printed.partition(".")[2])
    return f"{count / unit:.{decimals}f}" == printed


def _prints_as(row: PrintedRow, accounted: dict[str, int]) -> tuple[str, ...]:
    params = [name for name in PARAMS if name in accounted and _rounds_to(accounted[name], 1e6, row.params_m)]
    macs = [name for name in MACS if name in accounted and _rounds_to(accounted[name], 1e9, row.gflops)]
    return tuple(_without_equals(params, accounted) + _without_equals(macs, accounted))


def as_printed(row: ReproducedRow) -> PrintedRow:
    """Return the printed row that ``row`` is a reading of, with the paper's own digits."""
    return next(each for each in printed_rows() if (each.table, each.system) == (row.table, row.system))


def in_mega(gflops: str) -> str:
    """Return a printed number of 10^9 in 10^6, with the same digits."""
    return f"{(Decimal(gflops) * 1000).normalize():f}"


def in_giga(row: ReproducedRow) -> tuple[float, float, float, float]:
    """Return the multiply-adds of a counted row in 10^9, in the accountings of ``MACS``."""
    own = Cost(macs=row.macs or 0, gate_macs=row.gate_macs or 0, bn_elements=row.bn_elements or 0)
    macs, gated, normed, both = (accountings(own)[name] / 1e9 for name in MACS)
    return macs, gated, normed, both


def _without_equals(names: list[str], accounted: dict[str, int]) -> list[str]:
    """Drop an accounting that adds nothing here: without gates ``macs+gate_macs`` is ``macs``."""
    seen: dict[int, str] = {}
    for name in names:
        seen.setdefault(accounted[name], name)
    return list(seen.values())


def _differences(row: PrintedRow, accounted: dict[str, int]) -> Iterator[str]:
    """Say in words which printed number no accounting gives, and what comes nearest."""
    macs = (MACS, 1e9, row.gflops, "GFLOPs", "")
    if row.gflops and float(row.gflops) < 1:  # a light network is printed in 10^6
        macs = (MACS, 1e6, in_mega(row.gflops), "MFLOPs", "")
    columns = ((PARAMS, 1e6, row.params_m, "#P", "M"), macs)
    for all_names, unit, printed, column, suffix in columns:
        names = [name for name in all_names if name in accounted]
        if not printed or any(_rounds_to(accounted[name], unit, printed) for name in names):
            continue
        near = min(names, key=lambda name: abs(accounted[name] / unit - float(printed)))
        decimals = len(printed.partition(".")[2]) + 1
        ours = f"{accounted[near] / unit:.{decimals}f}{suffix}"
        yield f"{column}: no accounting prints {printed}{suffix}; {near} is {ours}"


def to_csv(rows: list[ReproducedRow]) -> str:
    """Return the rows as CSV with a header; several accountings are joined by a semicolon."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [each.name for each in fields(ReproducedRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(asdict(row) | {"prints_as": ";".join(row.prints_as)})
    return out.getvalue()
