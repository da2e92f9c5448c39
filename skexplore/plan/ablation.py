"""What is asked of an ablation, checked and turned into a study's plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skexplore.arch import REFERENCE, Backbone, Setting, format_blocks, get_reference
from skexplore.data import content_of
from skexplore.errors import UserError
from skexplore.paper import SYSTEMS
from skexplore.plan.ablation_file import BEST, DEFAULT_PROFILE, Definition, given, load_definition
from skexplore.plan.reuse import measured
from skexplore.plan.search import MAX_SEEDS, Plan, Training, check_seed, in_names, other_recipe, profile_of
from skexplore.plan.variants import base_of, expand
from skexplore.study import (
    COLUMNS_OF_ERRORS,
    Design,
    NotBegunError,
    Profile,
    Split,
    Study,
    StudySpec,
    Variant,
    check_name,
    get_profile,
    is_begun,
    load_study,
    stored_space,
    study_folder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRequest:
    """An ablation as it is asked for: a definition's name or file; None is what the definition says.

    reuse: studies whose measurements of the same (network, recipe, split, seed) are taken over. rungs: train as a
    search does that may stop at the profile's rungs.
    """

    source: str
    seeds: int | None = None
    seed: int = 0
    profile: str | None = None
    recipe: str | None = None
    backbone: str | None = None
    dataset: str | None = None
    reference: str | None = None
    study: str | None = None
    reuse: tuple[str, ...] = ()
    rungs: bool = False


def plan_ablation(request: AblationRequest) -> Plan:
    """Check ``request`` and return what it means; raises ``UserError``."""
    definition = load_definition(request.source, request.reference)
    reference = get_reference(definition.reference or None)
    _check_backbone(definition, request)
    _check_reference(definition, request)
    profile = _scale(definition, request, reference)
    design = expand(_on_data_set(definition, profile), _baseline(definition, reference), reference)
    name = check_name(request.study or _name(definition, request))
    design = _continued(replace(design, seeds=seeds_of(request.seeds, definition.seeds, name)), name)
    reused = [load_study(study) for study in request.reuse]
    return plan_design(design, profile, name=name, seed=request.seed, reference=reference, reused=reused)


def _name(definition: Definition, request: AblationRequest) -> str:
    """Return the definition's name, with what is not as it says after it."""
    own = get_profile(definition.profile or DEFAULT_PROFILE)
    pairs = (
        (
            request.dataset and own.on(content_of(request.dataset)).split.name,
            definition.split.dataset or own.split.dataset,
        ),
        (request.profile, own.name),
        (request.reference and _reference_name(request.reference), REFERENCE.name),
        (request.backbone, definition.backbone or own.backbone),
        (other_recipe(get_profile(request.profile or own.name), request.recipe), None),
        (f"s{request.seed}", "s0"),
        ("rungs" if request.rungs and get_profile(request.profile or own.name).rungs else None, None),
    )
    return "-".join([definition.name, *(given for given, usual in pairs if given not in (None, usual))])


def _data_name(profile: Profile, dataset: str) -> str:
    return profile.on(content_of(dataset)).split.name


def _reference_name(text: str) -> str:
    return in_names(get_reference(text).name)


def seeds_of(asked: int | None, usual: int, study: str) -> int:
    """Return how many seeds there shall be: those ``asked`` for, else ``usual`` or as many as there were before."""
    if asked is not None:
        if not 1 <= asked <= MAX_SEEDS:
            raise UserError(f"--seeds {asked}: must be between 1 and {MAX_SEEDS}")
        return asked
    spec = begun(study)
    return max(usual, spec.ablation.seeds) if spec and spec.ablation else usual


def begun(study: str) -> StudySpec | None:
    """Return what the live study of that name was asked for, None if there is none."""
    if not is_begun(study_folder(study)):
        return None
    try:
        return load_study(study).spec
    except NotBegunError:
        return None


def _continued(design: Design, study: str) -> Design:
    """Return ``design``; raises ``UserError`` if it has another baseline, or no variant, of the study it continues."""
    spec = begun(study)
    old = spec.ablation if spec else None
    if old is not None and old.baseline == design.baseline:
        was, now = (
            next(variant.block for variant in each.variants if variant.name == design.baseline)
            for each in (old, design)
        )
        if was != now:
            raise UserError(
                f"study {study} has the baseline {was}, which is now {now}; choose another --study name for it"
            )
    if old is not None and _trained(old).isdisjoint(_trained(design)):
        raise UserError(
            f"study {study} has the variants {', '.join(each.name for each in old.variants)}, and this design none of "
            "them; choose another --study name for it"
        )
    return design


def _trained(design: Design) -> set[tuple[str, Setting]]:
    return {(variant.block, variant.setting) for variant in design.variants}


def plan_design(
    design: Design,
    profile: Profile,
    *,
    name: str,
    seed: int,
    reference: Backbone = REFERENCE,
    reused: Sequence[Study] = (),
) -> Plan:
    """Return the plan that trains every variant of ``design`` with every seed; raises ``UserError``.

    Every network is checked first: all that cannot be built are named at once.
    """
    check_seed(seed)
    check_seed(seed + design.seeds - 1)
    spec = StudySpec.without_search(
        name=name, profile=profile, seed=seed, reference=reference, ablation=design
    )
    _check_buildable(spec)
    beside = trainings(spec)
    wanted = {spec.proxy(each.architecture, each.backbone).id for each in beside}
    return Plan(
        spec=spec,
        space=stored_space(spec),
        target=0,
        beside=beside,
        known=measured(spec, reused, wanted),
    )


def trainings(spec: StudySpec) -> tuple[Training, ...]:
    """Return the trainings of an ablation, seed by seed: whenever it is cut, whole blocks are done first.

    Two variants that are one network are one training.
    """
    design = spec.ablation
    assert design is not None
    found: dict[tuple[str, int], Training] = {}
    for seed in range(spec.seed, spec.seed + design.seeds):
        for variant in design.variants:
            each = Training(
                architecture=variant.architecture,
                seed=seed,
                chosen_by="user",
                backbone=variant.setting.backbone,
            )
            found.setdefault((spec.trained_for(variant).id, seed), each)
    return tuple(found.values())


def _check_backbone(definition: Definition, request: AblationRequest) -> None:
    own = [row.name for row in definition.rows if row.backbone]
    own += ["the factor backbone"] if "backbone" in definition.one_at_a_time else []
    own += [name for name, change in definition.leave_one_out.items() if "backbone" in change]
    if request.backbone is not None and own:
        raise UserError(
            f"--backbone {request.backbone}: {', '.join(own)} of {definition.name} would keep a backbone of another "
            "scale; write a study file with backbones that belong together"
        )


def _check_reference(definition: Definition, request: AblationRequest) -> None:
    own = [row.name for row in definition.rows if row.system]
    own += [definition.baseline] if definition.baseline in SYSTEMS else []
    if request.reference is not None and own:
        raise UserError(
            f"--reference {request.reference}: {', '.join(own)} of {definition.name} are networks of the paper with "
            "backbones of their own; write a study file with blocks"
        )


def _scale(definition: Definition, request: AblationRequest, reference: Backbone) -> Profile:
    """Return the definition's profile with its own changes; those belong to that profile and recipe, and go with them.

    With another recipe of that profile as many images are trained on. Raises ``UserError``.
    """
    own = definition.profile or DEFAULT_PROFILE
    recipe, split = given(definition.recipe), given(definition.split)
    base, dataset = recipe.pop("of", None), split.pop("dataset", None)
    name = request.profile or own
    backbone = request.backbone or definition.backbone or None
    base = base if name == own else None
    profile = profile_of(name, request.dataset or dataset, backbone, request.recipe or base, reference)
    if name == own:
        if request.recipe not in (None, base):
            recipe = {key: value for key, value in recipe.items() if key == "epochs"}
        profile = replace(
            profile, recipe=replace(profile.recipe, **recipe), split=_split(profile.split, split)
        )
    if request.rungs and not profile.recipe.cycles and profile.recipe.epochs in profile.rungs[-1:]:
        profile = replace(profile, recipe=replace(profile.recipe, cycles=profile.rungs[:-1]))
    return profile


def _split(split: Split, changes: Mapping[str, Any]) -> Split:
    """Return ``split`` with ``changes``; what is judged on gives way to what is trained on, unless it is asked for."""
    found = replace(split, **changes)
    content = found.content
    if found.train_images > content.most_train:
        raise UserError(
            f"split.train_images: {found.train_images:,}: {found.title} has {content.most_train:,} to train on at most"
        )
    if "val_images" not in changes:
        return replace(found, val_images=min(found.val_images, content.most_val(found.train_images)))
    if found.val_images > content.most_val(found.train_images):
        raise UserError(
            f"split: {found.train_images:,} train_images and {found.val_images:,} val_images are more than the "
            f"{content.train + content.val:,} of {found.title}; they must not overlap"
        )
    return found


def _on_data_set(definition: Definition, profile: Profile) -> Definition:
    """Return ``definition`` with the paper's column of the data set that is trained on, where it is a CIFAR column."""
    column = f"{profile.split.dataset}_error_pct"
    known = definition.column.startswith("cifar") and column in COLUMNS_OF_ERRORS
    return replace(definition, column=column) if known else definition


def _baseline(definition: Definition, reference: Backbone) -> Variant | None:
    text = definition.baseline
    if text in [row.name for row in definition.rows]:
        return None
    if not text.startswith(BEST):
        return base_of(text, reference)
    search = load_study(text.removeprefix(BEST))
    if not search.spec.searches:
        raise UserError(f"baseline {text}: {search.spec.name} is no search, and has no best trial")
    best = search.best
    if best is None:
        raise UserError(f"baseline {text}: the study has no complete trial within its budget yet")
    own = search.spec.at_reference(best.block)
    if own.backbone != reference:
        raise UserError(
            f"baseline {text}: it is written for {own.backbone.name}, blocks here for {reference.name}; give "
            f"--reference {own.backbone.name}"
        )
    return Variant(name=text, block=format_blocks(own.blocks), reference=reference.name)


def _check_buildable(spec: StudySpec) -> None:
    assert spec.ablation is not None
    problems = []
    _ = spec.body  # which must stand for the reference
    for variant in spec.ablation.variants:
        try:
            for network in (variant.architecture, spec.trained_for(variant)):
                network.cost()
        except UserError as error:
            problems.append(f"variant {variant.name}: {error}")
    if problems:
        raise UserError("\n".join(problems))
