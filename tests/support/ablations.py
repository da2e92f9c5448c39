"""Made-up ablations in every state: costs and identities are real, the errors are made up."""

from __future__ import annotations

from dataclasses import replace

from skexplore.arch.architecture import Setting
from skexplore.plan.variants import printed_beside
from skexplore.study.design import Design, Variant
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.study.record import Epoch, Record
from skexplore.study.spec import StudySpec
from skexplore.study.study import Study

HOSTILE = "<script>alert(1)</script>\"'|`*_[x](javascript:alert(2))<b>x</b>"
SPEC = StudySpec(
    name="made-up",
    space="none",
    space_hash="",
    budget_gflops=None,
    profile="quick",
    backbone="8x4d-1111-s2",
    recipe=Recipe(epochs=6, batch_size=64),
    split=Split(train_images=5_000),
    sampler="none",
    anchors="none",
    anchor_seeds=0,
    seed=0,
)
# name, block, error under the seeds 0, 1, 2; a reason stands for a training that diverged
TABLE_7 = (
    ("K3", "k3", (0.4402, 0.4460, 0.4431)),
    ("K5", "k3d2", (0.4702, 0.4721, 0.4690)),
    ("K7", "k3d3", (0.4815, 0.4850, 0.4829)),
    ("K3+K5 sum", "k3+k3d2/sum", (0.4310, 0.4355, 0.4340)),
    ("K3+K5 SK", "k3+k3d2", (0.4189, 0.4252, 0.4210)),
    ("K3+K7 SK", "k3+k3d3", (0.4390, 0.4401, 0.4352)),
    ("K3+K5+K7 sum", "k3+k3d2+k3d3/sum", (0.4391, 0.4409, 0.4452)),
    ("K3+K5+K7 SK", "k3+k3d2+k3d3", (0.4102, 0.4180, 0.4131)),
)


def record(spec: StudySpec, number: int, variant: Variant, seed: int, error: float | str) -> Record:
    """Return one training of ``variant``, with a made-up curve that ends at ``error``; a text: why it diverged."""
    own, trained = variant.architecture, spec.trained_for(variant)
    there, here, network = own.cost(), trained.cost(), trained.id
    lost, epochs = isinstance(error, str), spec.recipe.epochs
    end = 0.9 if lost else error
    ends = [end + (0.9 - end) * (0.4 + 0.02 * (number % 7)) ** epoch for epoch in range(1, epochs)] + [end]
    curve = tuple(
        Epoch(epoch=epoch, train_loss=1.0, val_loss=1.0, val_error=at, seconds=4.0)
        for epoch, at in enumerate(ends[: 2 if lost else epochs], start=1)
    )
    key = TrainSpec(
        block=variant.block,
        net_id=network,
        backbone=spec.backbone,
        recipe=spec.recipe,
        split=spec.split,
        seed=seed,
    ).key
    return Record(
        number=number,
        arch_id=own.id,
        net_id=network,
        block=variant.block,
        status="diverged" if lost else "complete",
        origin="anchor",
        sampler="user",
        epochs=len(curve),
        images=len(curve) * spec.split.train_images,
        seed=seed,
        ref_params=there.params,
        ref_macs=there.macs,
        proxy_params=here.params,
        proxy_macs=here.macs,
        val_error=None if lost else error,
        seconds=4.0 * len(curve),
        reason=error if lost else "",
        key=key,
        curve=curve,
        setting=variant.setting,
    )


def ablation(*rows, table="", baseline="", seeds=3, epochs=6, done=None, **changes) -> Study:
    """Return an ablation of ``rows``; baseline: the first; done: trainings that are there, by default all."""
    spec = replace(SPEC, recipe=replace(SPEC.recipe, epochs=epochs))
    named = [Variant(name=name, block=block, **dict(*more)) for name, block, _, *more in rows]
    design = Design(
        description="What a made-up error says",
        kinds=("rows",),
        baseline=baseline or rows[0][0],
        variants=tuple(printed_beside(variant, table, "top1_error_pct") for variant in named),
        seeds=seeds,
        table=table,
    )
    spec = replace(spec, ablation=design)
    networks, records = set(), []
    for seed in range(seeds):
        for variant, (_, _, errors, *_) in zip(design.variants, rows, strict=True):
            made = record(spec, len(records), variant, seed, errors[seed % len(errors)])
            if made.key not in networks:
                networks.add(made.key)
                records.append(made)
    return Study(
        spec=replace(spec, name=changes.pop("name", spec.name)),
        records=tuple(records[:done]),
        target=0,
        environment=changes.pop("environment", {"python": "3.13", "machine": "2 cores"}),
        command=changes.pop("command", "skexplore ablate table7"),
        state="finished" if done is None else "interrupted",
    )


SAME = ("no BN to lose", "k3+k3d2/sum", (0.4310, 0.4355, 0.4340), {"setting": Setting(fuse_norm=False)})
LOST = ("K1+K3", "k1+k3", (0.4402, "loss is not finite", 0.4431))
STUDIES = {
    "table": ablation(*TABLE_7, SAME, table="7"),
    "diverged": ablation(*TABLE_7, SAME, LOST, table="7", name="diverged"),
    "one seed": ablation(*TABLE_7[:5], table="7", seeds=1, name="one-seed"),
    "two seeds, one epoch": ablation(*TABLE_7[:2], seeds=2, epochs=1, name="short"),
    "nothing yet": ablation(*TABLE_7, table="7", done=0, name="nothing-yet"),
    "interrupted": ablation(*TABLE_7, table="7", done=12, name="interrupted"),
    "no noise": ablation(*[(n, b, e[:1]) for n, b, e in TABLE_7[:3]], name="no-noise"),
    "baseline is a twin": ablation(*TABLE_7, SAME, table="7", baseline=SAME[0], name="twin"),
    "gone": ablation((*LOST[:2], ("no memory",) * 3), *TABLE_7[:3], baseline="K3", name="gone"),
}


def hostile():
    """Return an ablation with a hostile name wherever a user can give one."""
    bad = (HOSTILE[:80], "k3", (0.44, "x</script><b>" + HOSTILE, 0.45))
    study = ablation(
        bad,
        TABLE_7[1],
        ("K3", "k3+k3d2", (0.42, 0.43)),
        name=HOSTILE,
        command=HOSTILE + "\n```\n# no",
        environment={HOSTILE: HOSTILE},
    )
    design = replace(study.spec.ablation, description=HOSTILE)
    return replace(study, spec=replace(study.spec, ablation=design))
