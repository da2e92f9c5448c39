"""What a planned search would train, and how long that takes on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from skexplore.arch import net_id
from skexplore.engine.run import count_devices, is_study
from skexplore.engine.state import AGAIN
from skexplore.plan import Plan
from skexplore.study import TrainSpec, check_continues, check_storage, load_study, study_folder, trained
from skexplore.training import default_devices, measure

EVALUATION = 0.28  # time of a validation image in that of a training image, as `bench train` measures it


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan would train: search trials and anchor trainings still to do, images, and how long it takes."""

    trials: int
    anchors: int
    images: int
    images_per_second: float
    seconds: float
    devices: str


def estimate(
    plan: Plan, workers: int | None, *, storage: str | None = None, measure_for: float = 4.0
) -> Estimate:
    """Return what ``plan`` would train, by a speed measured here for ``measure_for`` seconds; nothing is written.

    The speed is that of the paper's block; trials that a rung stops take less than is counted. Raises ``UserError``
    where the search itself would refuse: another study of that name, a ``storage`` that is none.
    """
    spec, devices = plan.spec, default_devices(workers)
    check_continues(study_folder(spec.name), spec, check_storage(storage))
    old = load_study(spec.name).records if is_study(spec.name) else ()
    done = {(r.net_id, r.seed) for r in old if r.origin == "anchor" and r.status not in ("running", *AGAIN)}
    done |= {(record.net_id, record.seed) for record in plan.known.values()}
    anchors = sum((spec.network(each.blocks, each.setting), each.seed) not in done for each in plan.beside)
    trials = max(0, plan.target - trained(old)) if plan.target else 0
    images = (trials + anchors) * spec.recipe.epochs * spec.split.train_images
    block = "k3+k3d2"
    example = TrainSpec(
        block=block,
        net_id=net_id(block, spec.body),
        backbone=spec.backbone,
        recipe=spec.recipe,
        split=spec.split,
        seed=spec.seed,
    )
    speed = measure(example, devices, measure_for)
    seen = spec.split.train_images + EVALUATION * spec.split.val_images
    work = (trials + anchors) * spec.recipe.epochs * seen
    return Estimate(
        trials=trials,
        anchors=anchors,
        images=images,
        images_per_second=speed,
        seconds=work / speed,
        devices=count_devices(devices),
    )
