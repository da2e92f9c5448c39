"""What is asked of an ablation, checked and turned into a study's plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from skexplore.backbone import get_backbone
from skexplore.block import parse_blocks
from skexplore.coordinator import Beside
from skexplore.design import Design
from skexplore.errors import UserError
from skexplore.gate import parse_gate
from skexplore.recipe import CLASSES, Profile
from skexplore.record import Record, Study, StudySpec
from skexplore.request import NO_SPACE, Plan, check_seed, profile_of, space_fields
from skexplore.store import check_name, load_study
from skexplore.study_file import BEST, MAX_SEEDS, Definition, load_definition
from skexplore.variants import Base, base_of, expand
from skexplore.whole import whole_cost, whole_net_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """An ablation as it is asked for: a definition's name or file; None is what the definition says.

    reuse: studies whose measurements of the same (network, recipe, split, seed) are taken over.
    """

    source: str
    seeds: int | None = None
    seed: int = 0
    profile: str | None = None
    backbone: str | None = None
    dataset: str | None = None
    study: str | None = None
    reuse: tuple[str, ...] = ()


def plan_ablation(request: AblationRequest) -> Plan:
    """Check ``request`` and return what it means; raises ``UserError``."""
    definition = load_definition(request.source)
    own = [row.name for row in definition.rows if row.backbone]
    own += ["the factor backbone"] if "backbone" in definition.one_at_a_time else []
    if request.backbone is not None and own:
        raise UserError(
            f"--backbone {request.backbone}: {', '.join(own)} of {definition.name} would keep a backbone of another "
            "scale; write a study file with backbones that belong together"
        )
    profile = _scale(definition, request)
    design = expand(definition, _baseline(definition))
    if request.seeds is not None:
        design = replace(design, seeds=check_seeds(request.seeds))
    name = request.study or "-".join(
        [definition.name]
        + [
            each
            for each, own in (
                (request.dataset, ""),
                (request.profile, definition.profile),
                (request.backbone, definition.backbone),
            )
            if each is not None and each != own
        ]
        + ([f"s{request.seed}"] if request.seed else [])
    )
    reused = [load_study(study) for study in request.reuse]
    return plan_design(
        keep_seeds(design, name), profile, name=check_name(name), seed=request.seed, reused=reused
    )


def keep_seeds(design: Design, study: str) -> Design:
    """Return ``design`` with at least the seeds that the ablation of that name has been asked for before."""
    try:
        old = load_study(study).spec.ablation
    except UserError:
        return design
    return design if old is None else replace(design, seeds=max(design.seeds, old.seeds))


def plan_design(
    design: Design, profile: Profile, *, name: str, seed: int, reused: Sequence[Study] = ()
) -> Plan:
    """Return the plan that trains every variant of ``design`` with every seed; raises ``UserError``.

    Every network is checked first: all that cannot be built are named at once.
    """
    check_seed(seed + design.seeds - 1)
    spec = StudySpec(
        name=name,
        **space_fields(NO_SPACE),  # type: ignore[arg-type]
        budget_gflops=None,
        profile=profile.name,
        backbone=profile.backbone,
        recipe=profile.recipe,
        split=profile.split,
        sampler="none",
        keep_weights="all",
        anchors="none",
        anchor_seeds=0,
        seed=seed,
        ablation=design,
    )
    _check_buildable(spec)
    return Plan(
        spec=spec,
        space=NO_SPACE,
        target=0,
        beside=trainings(spec),
        wished=(),
        known=_measured(spec, reused),
    )


def trainings(spec: StudySpec) -> tuple[Beside, ...]:
    """Return the trainings of an ablation, seed by seed: whenever it is cut, whole blocks are done first.

    Two variants that are one network are one training.
    """
    design = spec.ablation
    assert design is not None
    found: dict[tuple[str, int], Beside] = {}
    for seed in range(spec.seed, spec.seed + design.seeds):
        for variant in design.variants:
            blocks = parse_blocks(variant.block)
            network = whole_net_id(blocks, spec.body_of(variant.setting), variant.setting)
            found.setdefault(
                (network, seed),
                Beside(
                    blocks=blocks,
                    seed=seed,
                    chosen_by="user",
                    setting=variant.setting,
                    reference=variant.reference,
                ),
            )
    return tuple(found.values())


def check_seeds(seeds: int) -> int:
    """Return ``seeds`` if it is a number of seeds; raises ``UserError``."""
    if not 1 <= seeds <= MAX_SEEDS:
        raise UserError(f"--seeds {seeds}: must be between 1 and {MAX_SEEDS}")
    return seeds


def _scale(definition: Definition, request: AblationRequest) -> Profile:
    """Return the definition's profile with its own changes; those belong to that profile, and go with it."""
    own = definition.profile or "quick"
    name = request.profile or own
    profile = profile_of(name, request.dataset, request.backbone or definition.backbone or None)
    if name != own:
        return profile
    split = replace(profile.split, **definition.split)
    if split.dataset not in CLASSES and split.dataset != profile.split.dataset:
        raise UserError(f"unknown dataset {split.dataset!r}; known: {', '.join(CLASSES)}")
    return replace(profile, recipe=replace(profile.recipe, **definition.recipe), split=split)


def _baseline(definition: Definition) -> Base | None:
    text = definition.baseline
    if text in [row.name for row in definition.rows]:
        return None
    if not text.startswith(BEST):
        return base_of(text)
    best = load_study(text.removeprefix(BEST)).best()
    if best is None:
        raise UserError(f"baseline {text}: the study has no complete trial within its budget yet")
    return Base(block=best.block)


def _check_buildable(spec: StudySpec) -> None:
    assert spec.ablation is not None
    problems = []
    for variant in spec.ablation.variants:
        try:
            blocks = parse_blocks(variant.block)
            for body in (get_backbone(variant.reference), spec.body_of(variant.setting)):
                whole_cost(blocks, body, variant.setting)
            parse_gate(variant.setting.gate)
        except UserError as error:
            problems.append(f"variant {variant.name}: {error}")
    if problems:
        raise UserError("\n".join(problems))


def _measured(spec: StudySpec, studies: Sequence[Study]) -> Mapping[str, Record]:
    """Return the complete records of other studies by replay key; refuse a study of which none could ever serve."""
    found: dict[str, Record] = {}
    for study in studies:
        for what, own, other in (
            ("recipe", spec.recipe, study.spec.recipe),
            ("split", spec.split, study.spec.split),
        ):
            if own != other:
                raise UserError(
                    f"--reuse {study.spec.name}: it has another {what} ({other}; here {own}); its results do not stand "
                    "for ours"
                )
        if spec.backbone != study.spec.backbone and not any(r.setting.backbone for r in study.records):
            raise UserError(
                f"--reuse {study.spec.name}: it has another backbone ({study.spec.backbone}, here {spec.backbone}); "
                "its results do not stand for ours"
            )
        found |= {
            record.key: record for record in study.records if record.status == "complete" and record.curve
        }
    return found
