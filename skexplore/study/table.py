"""A table of trainings: what studies measured of blocks in one and the same way, to be read or searched without a GPU.

``studies/sk-table`` and ``studies/sk-table-best`` are made for it; every study of a search can be read so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skexplore.errors import UserError
from skexplore.study.comparable import compare_specs
from skexplore.study.record import Record
from skexplore.study.spec import StudySpec
from skexplore.study.store import TABLE, load_study

if TYPE_CHECKING:
    import pandas

TABLE_COLUMNS = (
    "block", "arch_id", "seed", "val_error", "epochs", "images", "ref_params", "ref_macs", "proxy_params", "proxy_macs",
    "seconds", "device",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Complete trainings of blocks that nothing else surrounds, each once, by block and seed.

    spec: of the study whose space and budget they stand in.
    """

    spec: StudySpec
    records: tuple[Record, ...]

    @property
    def errors(self) -> Mapping[str, Mapping[int, float]]:
        """Validation errors, fractions 0..1, by notation and seed."""
        found: dict[str, dict[int, float]] = {}
        for record in self.records:
            if record.val_error is not None:
                found.setdefault(record.block, {})[record.seed] = record.val_error
        return found


def read_table(studies: Sequence[str]) -> Table:
    """Return the trainings of ``studies``, of which the first is a search; raises ``UserError``.

    All must have been measured alike: the same data, recipe and proxy.
    """
    first, *others = [load_study(name) for name in studies]
    if not first.spec.searches:
        raise UserError(f"study {first.spec.name}: no search, and so of no space; name one that is first")
    for other in others:
        refusals = compare_specs(first, other).refusals
        if refusals:
            raise UserError(f"{first.spec.name} and {other.spec.name} make no table. {' '.join(refusals)}")
    found: dict[tuple[str, int], Record] = {}
    for record in (record for study in (first, *others) for record in study.records):
        if record.status == "complete" and record.plain:
            found.setdefault((record.block, record.seed), record)
    return Table(spec=first.spec, records=tuple(found[at] for at in sorted(found)))


def load_table(*studies: str) -> pandas.DataFrame:
    """Return a row for each complete training of ``studies`` (by default ``TABLE``), sorted by block and seed.

    val_error: a fraction 0..1 after the last epoch. ref_*: cost at the reference (SKNet-50, 224x224), proxy_*: of the
    network that was trained; macs are multiply-adds. Raises ``UserError`` for studies that were not measured alike.
    """
    import pandas  # noqa: PLC0415 - takes half a second

    rows = [
        {name: getattr(record, name) for name in TABLE_COLUMNS}
        for record in read_table(studies or TABLE).records
    ]
    return pandas.DataFrame(rows, columns=pandas.Index(TABLE_COLUMNS))
