"""What planned searches would train, and how long that takes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skexplore.arch import net_id
from skexplore.engine.run import count_devices, is_study
from skexplore.engine.state import AGAIN
from skexplore.plan import Plan
from skexplore.study import (
    TrainSpec,
    check_continues,
    check_storage,
    load_study,
    study_folder,
    trained,
    trained_blocks,
)
from skexplore.training import default_devices

EVALUATION = 0.28  # time of a validation image in that of a training image, as `bench train` measures it


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What plans would train: trainings of the search and of anchors still to do, images, and how long it takes.

    replicates: of the search's trainings those of its leaders. images_per_second, devices: None and empty where nothing
    is left, and so nothing was measured.
    """

    trials: int
    replicates: int
    anchors: int
    images: int
    images_per_second: float | None
    seconds: float
    devices: str


def estimate(
    plans: Sequence[Plan], workers: int | None, *, storage: str | None = None, measure_for: float = 4.0
) -> Estimate:
    """Return what ``plans``, alike but for their seeds, would train together; nothing is written.

    The speed is that of the paper's block, measured here for ``measure_for`` seconds; trials that a rung stops take
    less than is counted. Raises ``UserError`` where the run itself would refuse: another study of that name, a
    ``storage`` that is none.
    """
    spec = plans[0].spec
    left = [_left(plan, storage) for plan in plans]
    trials, replicates, anchors = (sum(each) for each in zip(*left, strict=True))
    epochs = (trials + anchors) * spec.recipe.epochs
    if not epochs:
        return Estimate(
            trials=0, replicates=0, anchors=0, images=0, images_per_second=None, seconds=0.0, devices=""
        )
    from skexplore.training import measure  # noqa: PLC0415  # loads torch

    block, devices = spec.paper_block, default_devices(workers)
    example = TrainSpec(
        block=block,
        net_id=net_id(block, spec.body),
        backbone=spec.backbone,
        recipe=spec.recipe,
        split=spec.split,
        seed=spec.seed,
        reference=spec.reference,
    )
    speed = measure(example, devices, measure_for)
    seen = spec.split.train_images + EVALUATION * spec.split.val_images
    return Estimate(
        trials=trials,
        replicates=replicates,
        anchors=anchors,
        images=epochs * spec.split.train_images,
        images_per_second=speed,
        seconds=epochs * seen / speed,
        devices=count_devices(devices),
    )


def _left(plan: Plan, storage: str | None) -> tuple[int, int, int]:
    """Return how many trainings of the search, how many of these of leaders, and how many anchors are still to do."""
    spec = plan.spec
    check_continues(study_folder(spec.name), spec, check_storage(storage))
    old = load_study(spec.name).records if is_study(spec.name) else ()
    done = {(r.net_id, r.seed) for r in old if r.origin == "anchor" and r.status not in ("running", *AGAIN)}
    done |= {(record.net_id, record.seed) for record in plan.known.values()}
    beside = sum(network not in done for network in plan.networks)
    tried = {record.block for record in old}
    first = (plan.spec.text_of(plan.space.network(levels)) for levels in plan.wished[: plan.reused])
    room = plan.target - plan.replicates - trained_blocks(old)
    reused = min(sum(block not in tried for block in first), max(0, room))
    left = max(0, plan.target - trained(old) - reused) if plan.target else 0
    replicated = sum(record.origin == "replicate" and record.status == "complete" for record in old)
    return left, min(left, max(0, plan.replicates - replicated)), beside
