"""What earlier studies have measured that a new one need not train again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace

from skexplore.arch import read_network
from skexplore.errors import UserError
from skexplore.space import Level, NotInSpaceError, Space, encode
from skexplore.study import Record, Study, StudySpec, differences


def measured(
    spec: StudySpec, studies: Sequence[Study], wanted: Collection[str] | None = None
) -> Mapping[str, Record]:
    """Return the complete records of other studies by replay key; refuse a study of which none could ever serve.

    wanted: the identities of the networks that are asked for, None for all. Test errors stay behind: neither a search
    nor an ablation reads the test set, whoever did.
    """
    found: dict[str, Record] = {}
    for study in studies:
        for what, own, other in (
            ("recipe", spec.recipe, study.spec.recipe),
            ("split", spec.split, study.spec.split),
        ):
            if own != other:
                said = differences(asdict(own), asdict(other))
                raise UserError(
                    f"--reuse {study.spec.name}: it has another {what} ({said}); its results cannot be used here"
                )
        done = [record for record in study.records if record.status == "complete" and record.curve]
        serves = wanted is not None and any(record.net_id in wanted for record in done)
        if spec.backbone != study.spec.backbone and not serves:
            raise UserError(
                f"--reuse {study.spec.name}: it has another backbone ({study.spec.backbone}, here {spec.backbone}); "
                "its results cannot be used here"
            )
        for record in done:
            where = f"measured as training {record.number} of {study.spec.name}"
            found[record.key] = replace(record, test_error=None, test_right="", reason=where)
    return found


def first_tries(spec: StudySpec, space: Space, studies: Sequence[Study]) -> list[dict[str, Level]]:
    """Return levels of what the trials of ``studies`` measured, in their order: a search begins with them.

    Raises ``UserError`` for a study that has no trial of this space by this search's seed.
    """
    found: dict[str, dict[str, Level]] = {}
    for study in studies:
        if study.spec.reference != spec.reference:
            raise UserError(
                f"--reuse {study.spec.name}: its blocks are written for {study.spec.reference}, here for "
                f"{spec.reference}; costs and budgets cannot be compared"
            )
        own = [r for r in study.eligible() if r.seed == spec.seed and spec.counted_within(r)]
        levels = {record.block: _levels(space, record) for record in own}
        inside = {block: each for block, each in levels.items() if each is not None}
        if not inside:
            raise UserError(
                f"--reuse {study.spec.name}: none of its trials is a block of the space {space.name} within the "
                f"budget, trained with --seed {spec.seed} (its own is {study.spec.seed})"
            )
        found |= {block: each for block, each in inside.items() if block not in found}
    return list(found.values())


def _levels(space: Space, record: Record) -> dict[str, Level] | None:
    """Return levels that mean a record's block, None where the space does not hold it."""
    try:
        return encode(space, read_network(record.block, space.reference))
    except NotInSpaceError:
        return None
