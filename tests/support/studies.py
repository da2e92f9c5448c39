"""A synthetic study with every status: costs and identities are real, the errors are made up."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import pytest

from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import format_blocks
from skexplore.space.space import Space
from skexplore.study.priors import PRIORS
from skexplore.study.recipe import Recipe, Split
from skexplore.study.record import Epoch, Record
from skexplore.study.spec import StudySpec
from skexplore.study.store import HASH, _sha256
from skexplore.study.study import Study
from skexplore.surrogate.prior import Prior

BACKBONE = "8x4d-1111-s2"
SPEC = StudySpec(
    name="synthetic",
    space="example",
    space_hash="0123456789ab",
    budget_gflops=4.5,
    profile="quick",
    backbone=BACKBONE,
    recipe=Recipe(epochs=6, batch_size=64),
    split=Split(train_images=5_000, val_images=5_000),
    sampler="tpe",
    anchors="two",
    anchor_seeds=2,
    seed=0,
)
# block, status, val error, epochs
SEARCH = (
    ("k1", "complete", 0.5862, 6),
    ("k3+k5g64/L1", "over_budget", None, 0),
    ("k3g64", "complete", 0.4466, 6),
    ("k3+k3d2/sum", "complete", 0.4210, 6),
    ("k3+k7", "over_budget", None, 0),
    ("k3d2", "stopped", 0.5120, 2),
    ("k3+k3", "complete", 0.4104, 6),
    ("k3+k3d2", "replay", 0.4189, 0),
    ("k1+k3g64", "complete", 0.4308, 6),
    ("k3+k3d2+k3d3", "over_budget", None, 0),
    ("k1+k3/r32/L16", "failed", None, 0),
    ("k1+k3/r8", "complete", 0.4275, 6),
    ("k3d3+k3g64/r32/L16", "diverged", None, 1),
    ("k3+k3d3/r32", "complete", 0.4169, 6),
    ("k1+k3d3", "stopped", 0.4990, 2),
    ("k3+k3d2/r8/L64", "complete", 0.4075, 6),
    ("k1g64", "complete", 0.5950, 6),
    ("k1+k1", "complete", 0.5710, 6),
    ("k5+k7;k5+k7;k3;k3", "over_budget", None, 0),
    ("k3g64;k3g64;k3+k3g64;k3+k3", "complete", 0.4020, 6),
)
REASONS = {"over_budget": "over 4.5 GFLOPs", "failed": "out of memory", "diverged": "loss is not finite"}


def record(number: int, block: str, status: str, error: float | None, epochs: int, **more: object) -> Record:
    """Return one record of ``block``, with a made-up curve that ends at ``error``."""
    reference, proxy = cost(block), cost(block, BACKBONE)
    network = net_id(block, BACKBONE)
    curve = tuple(
        Epoch(
            epoch=epoch,
            train_loss=2.3 - 0.2 * epoch,
            val_loss=2.2 - 0.18 * epoch,
            val_error=error + (0.9 - error) * 0.45**epoch - (0.9 - error) * 0.45**epochs,
            seconds=4.0,
        )
        for epoch in range(1, epochs + 1)
        if error is not None
    )
    record = Record(
        number=number,
        arch_id=arch_id(block),
        net_id=network,
        block=block,
        status=status,
        origin="replay" if status == "replay" else "search",
        sampler="tpe",
        rung=None if epochs == 0 else 0 if epochs < 6 else 1,
        epochs=epochs,
        images=epochs * SPEC.split.train_images,
        seed=0,
        ref_params=reference.params,
        ref_macs=reference.macs,
        proxy_params=proxy.params,
        proxy_macs=proxy.macs,
        val_error=error,
        seconds=4.125 * epochs,
        reason=REASONS.get(status, ""),
        key=f"{network}-{SPEC.recipe.id}-{SPEC.split.id}-s{more.get('seed', 0)}",
        curve=curve,
    )
    return replace(record, **more)


ANCHORS = tuple(
    record(number, block, "complete", error, 6, origin="anchor", seed=seed, sampler="none")
    for number, (block, seed, error) in enumerate(
        [("k3", 0, 0.4402), ("k3", 1, 0.4460), ("k3+k3d2", 0, 0.4189), ("k3+k3d2", 1, 0.4131)]
    )
)


NOISE_KEY = (SPEC.recipe.id, SPEC.split.id, SPEC.backbone)


def know_noise(patch: pytest.MonkeyPatch) -> None:
    """Make the noise of the synthetic study known from before: 28 degrees of freedom."""
    patch.setitem(PRIORS, NOISE_KEY, Prior(sd=0.004, df=28, source="an earlier study"))


def synthetic(
    *, name: str = "synthetic", command: str = "skexplore search example", **changes: object
) -> Study:
    """Return the study; ``changes`` replace fields of it."""
    search = tuple(record(number, *row) for number, row in enumerate(SEARCH))
    study = Study(
        spec=replace(SPEC, name=name),
        records=ANCHORS + search,
        target=13,
        environment={"python": "3.13", "torch": "2.9", "machine": "2 cores"},
        command=command,
        state="finished",
    )
    return replace(study, **changes)


def only(*rows: tuple[str, str, float | None, int], anchors: bool = False, **changes: object) -> Study:
    """Return a study of these search rows alone."""
    records = tuple(record(number, *row) for number, row in enumerate(rows))
    return synthetic(records=(ANCHORS if anchors else ()) + records, **changes)


@lru_cache(maxsize=1)
def many(count: int, **changes: object) -> Study:
    """Return a study of so many search trials of distinct blocks: errors made up, costs and identities real."""
    space, generator = Space.load("sk-wide"), random.Random(0)
    blocks: dict[str, None] = {}
    while len(blocks) < count:
        blocks[format_blocks(space.decode(space.sample(generator)))] = None
    found = []
    for number, block in enumerate(blocks):
        over = cost(block).macs > 4.5e9
        error = None if over else 0.35 + 0.3 * generator.random() ** 2
        found.append(record(number, block, "over_budget" if over else "complete", error, 0 if over else 6))
    decisions = {path: list(levels) for path, levels in space.decisions.items()}
    study = synthetic(records=ANCHORS + tuple(found), target=count, **changes)
    return replace(study, spec=replace(study.spec, space_base=str(space.base), space_decisions=decisions))


def keep(study, folder: Path | None = None) -> None:
    """Write ``study`` as an archive under studies/."""
    folder = folder or Path("studies") / study.spec.name
    folder.mkdir(parents=True)
    definition = asdict(study)
    records = definition.pop("records")
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "records.jsonl").write_text(text)
    (folder / "study.json").write_text(json.dumps(definition | {HASH: _sha256(text)}))


EDGE_CASES = {
    "empty": only(state="running"),
    "anchors only": only(anchors=True, state="running"),
    "nothing feasible": only(
        ("k3+k7", "over_budget", None, 0), ("k3+k5", "over_budget", None, 0), anchors=True
    ),
    "one trial": only(("k3", "complete", 0.4, 6), target=1),
    "failures only": only(("k3", "failed", None, 0), ("k3+k3", "diverged", None, 1), state="failed"),
    "in progress": only(
        ("k3", "complete", 0.4, 6), ("k3+k3", "running", None, 2), state="running", anchors=True
    ),
    "all": synthetic(),
}
