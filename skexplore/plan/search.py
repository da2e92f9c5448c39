"""What a user asks of a search or a training, checked and turned into a study's specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from skexplore.arch import (
    REFERENCE,
    Architecture,
    Backbone,
    Blocks,
    SKBlock,
    as_blocks,
    canonical_at_reference,
    cifar_backbone,
    get_backbone,
    get_reference,
    stand_in,
)
from skexplore.data import Content, content_of
from skexplore.errors import UserError, check_one_of
from skexplore.paper import anchor_blocks
from skexplore.plan.latency import latency_terms
from skexplore.plan.reuse import first_tries, measured
from skexplore.space import Candidates, Level, Space, TooManyError, check_budget, encode, usual_space
from skexplore.study import (
    DEFAULT_SAMPLER,
    KEEP_WEIGHTS,
    LARGE_SPACES,
    MODES,
    PLAIN_BLOCK,
    RECIPES,
    SAMPLERS,
    Profile,
    Record,
    StudySpec,
    check_name,
    get_profile,
    load_study,
    paper_block,
    rung_epochs,
    space_fields,
    stored_space,
    usual_replicates,
)

PRUNERS = ("rungs", "none")
DEFAULT_PROFILE = "quick"  # where nobody looks at the machine
MAX_SEED = 2**31 - 1
MAX_SEEDS = 1000
_PRUNED = {True: "rungs", False: "no-rungs"}  # in names, of what is not the profile's default
_TIME = re.compile(r"(?:(?P<h>[0-9]+)h)?(?:(?P<m>[0-9]+)m)?(?:(?P<s>[0-9]+)s?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training that is no trial of a search: ``chosen_by`` is ``none`` for an anchor, ``user`` else.

    architecture: the network at the scale of the paper's costs. backbone: where it is trained, empty for the study's.
    """

    architecture: Architecture
    seed: int
    chosen_by: str = "none"
    backbone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A search as it is asked for: the one list of its options.

    budget_gflops: 10^9 multiply-adds, budget_params_m: 10^6 parameters, budget_activations_m: 10^6 activations, all at
    the reference. budget_latency_ms: milliseconds of a batch there, measured on ``latency_device`` (None: ``cpu``),
    ``latency_batch`` images at a time (None: 1), in numbers of ``latency_dtype`` (None: float32), on a CPU by
    ``latency_threads`` (None: 1); one of these without a budget has it measured alone. space: its name, its file or
    itself, None for the one that is meant for the reference. reference: the backbone for which blocks are written and
    at which budgets hold, as ``NAME`` or ``NAME@HxW``; None for the space's. trials: trainings over the study's life;
    replicates: how many of them, at the end, are fresh seeds of what may be best (None: every fifth). study: its name,
    None for one made of the other options. mode: one of ``MODES``. sampler: one of ``SAMPLERS``, None for the one that
    models where it can. pruner: one of ``PRUNERS``. anchors: published blocks trained first (``two``, ``table6``,
    ``table7``, ``all`` or ``none``), each with ``anchor_seeds`` seeds. enqueue: blocks to try first, each as ``cost``
    takes one. reuse: studies whose trials it begins with, as they were measured there. profile: None for ``quick``, or
    what suits the machine where one is searched on. keep_weights: one of ``KEEP_WEIGHTS``. seed: of the sampler, and
    the first of the trainings. recipe: one of ``RECIPES``. It, dataset, pruner, backbone, trials, anchor_seeds: None
    for the profile's.
    """

    budget_gflops: float | None = None
    budget_params_m: float | None = None
    budget_activations_m: float | None = None
    budget_latency_ms: float | None = None
    latency_device: str | None = None
    latency_batch: int | None = None
    latency_dtype: str | None = None
    latency_threads: int | None = None
    space: str | Space | None = None
    reference: str | None = None
    dataset: str | None = None
    trials: int | None = None
    replicates: int | None = None
    study: str | None = None
    mode: str = "constrained"
    sampler: str | None = None
    pruner: str | None = None
    anchors: str = "two"
    anchor_seeds: int | None = None
    enqueue: tuple[str | SKBlock | Blocks, ...] = ()
    reuse: tuple[str, ...] = ()
    profile: str | None = None
    recipe: str | None = None
    backbone: str | None = None
    keep_weights: str = "front"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Trainings of a user's own ``blocks`` as they are asked for, with ``seeds`` seeds from ``seed`` on.

    blocks: as ``cost`` takes them. profile, recipe, dataset, backbone, reference: as in ``Request``. study: one
    whose recipe is used and which keeps the records; None for one of own trainings.
    """

    blocks: str | SKBlock | Blocks
    profile: str | None = None
    recipe: str | None = None
    dataset: str | Content | None = None
    backbone: str | None = None
    reference: str | None = None
    seeds: int = 1
    seed: int = 0
    study: str | None = None

    def network(self, spec: StudySpec) -> Architecture:
        """Return the network at the reference of ``spec``, or in the body that the text names; raises ``UserError``."""
        own = spec.at_reference(self.blocks)
        bodies = [each.reference for _, each in stored_space(spec).plain()]
        if own.backbone not in (spec.reference_body, *bodies):
            raise UserError(
                f"{self.blocks}: {own.backbone.name} is none of the bodies of study {spec.name} "
                f"({', '.join(each.name for each in bodies)}); leave it out, or give --reference {own.backbone.name} "
                "and no --study"
            )
        _ = spec.proxy(own).placed  # whether the proxy can hold it
        return own


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked request: what the study is, and what one run of it is to do.

    target: trainings of the search, ``replicates`` of them of its leaders. wished: levels that it tries first, the
    first ``reused`` of them measured elsewhere. known: finished records of other studies that need not be trained
    again, by replay key.
    """

    spec: StudySpec
    space: Space
    target: int
    replicates: int = 0
    beside: tuple[Training, ...]
    wished: tuple[dict[str, Level], ...] = ()
    reused: int = 0
    known: Mapping[str, Record] = field(default_factory=dict)

    @property
    def networks(self) -> list[tuple[str, int]]:
        """The identity of the network that is trained, and the seed, of each training beside the search."""
        return [(self.spec.proxy(each.architecture, each.backbone).id, each.seed) for each in self.beside]


def plan_search(request: Request) -> Plan:
    """Check ``request`` and return what it means; raises ``UserError``."""
    space = space_of(request)
    profile = profile_of(
        request.profile or DEFAULT_PROFILE,
        request.dataset,
        request.backbone,
        request.recipe,
        space.reference,
    )
    profile = _with_anchor_seeds(profile, request.anchor_seeds)
    sampler = _sampler(request.sampler, space)
    for option, value, allowed in (
        ("--mode", request.mode, MODES),
        ("--keep-weights", request.keep_weights, KEEP_WEIGHTS),
    ):
        check_one_of(option, value, allowed)
    budget = (request.budget_gflops, request.budget_params_m, request.budget_activations_m)
    latency = latency_terms(
        request.budget_latency_ms,
        device=request.latency_device,
        batch=request.latency_batch,
        dtype=request.latency_dtype,
        threads=request.latency_threads,
        reference=space.reference,
    )
    if request.mode == "constrained" and all(
        amount is None for amount in (*budget, request.budget_latency_ms)
    ):
        usual = space.reference == REFERENCE
        example = (
            "for example --budget-gflops 4.5" if usual else f"as skexplore space show {space.name} names one"
        )
        raise UserError(f"give a budget, {example}, or --mode pareto to search without one")
    target = profile.trials if request.trials is None else request.trials
    if target < 1:
        raise UserError(f"--trials {target}: must be at least 1")
    replicates = _replicates(request.replicates, target)
    check_seed(request.seed)
    if request.backbone is None:
        profile = replace(profile, backbone=space.in_which_depths_show(profile.backbone))
    body = stand_in(get_backbone(profile.backbone), space.reference)
    seeds = range(request.seed, request.seed + profile.anchor_seeds)
    anchors = [
        Training(architecture=own, seed=seed)
        for own in _anchors(request.anchors, space.reference, body)
        for seed in seeds
    ]
    space.check_trained_in(profile.backbone)
    check_budget(space, *budget)
    rungs = _rungs(request.pruner, profile)
    # so that an error at a rung is one of annealed weights
    profile = replace(profile, recipe=replace(profile.recipe, cycles=rungs[:-1]))
    name = (
        _default_name(request, space, profile, rungs) if request.study is None else check_name(request.study)
    )
    spec = StudySpec(
        name=name,
        **space_fields(space),  # type: ignore[arg-type]
        budget_gflops=request.budget_gflops,
        budget_params_m=request.budget_params_m,
        budget_activations_m=request.budget_activations_m,
        budget_latency_ms=request.budget_latency_ms,
        latency=latency,
        profile=profile.name,
        backbone=profile.backbone,
        recipe=profile.recipe,
        split=profile.split,
        sampler=sampler,
        mode=request.mode,
        rungs=rungs,
        keep_weights=request.keep_weights,
        anchors=request.anchors,
        anchor_seeds=profile.anchor_seeds,
        seed=request.seed,
    )
    asked = map(spec.at_reference, request.enqueue)
    reused = [load_study(each) for each in request.reuse]
    known = measured(spec, reused)
    first = first_tries(spec, space, reused)
    encoded = (encode(space, own) for own in dict.fromkeys(asked))
    wished = [*first, *(levels for levels in encoded if levels not in first)]
    return Plan(
        spec=spec,
        space=space,
        target=target,
        replicates=replicates,
        beside=tuple(anchors),
        wished=tuple(wished),
        reused=len(first),
        known=known,
    )


def space_of(request: Request) -> Space:
    """Return the space of a request: the one meant for its reference where it names none; raises ``UserError``."""
    if isinstance(request.space, Space):
        own = request.space.reference
        if request.reference is not None and get_reference(request.reference) != own:
            raise UserError(
                f"--reference {request.reference}: the space {request.space.name} is written for {own.name}; load it "
                "with that reference"
            )
        return request.space
    reference = get_reference(request.reference)
    return Space.load(request.space or usual_space(reference), request.reference)


def _replicates(asked: int | None, trials: int) -> int:
    """Return how many of the trainings of a search are of its leaders; raises ``UserError``."""
    if asked is None:
        return usual_replicates(trials)
    if not 0 <= asked < trials:
        raise UserError(
            f"--replicates {asked}: must be between 0 and {trials - 1}, one less than --trials, which counts them too"
        )
    return asked


def plan_training(request: TrainRequest) -> Plan:
    """Return the plan of a study that holds trainings of the user's own blocks alone; raises ``UserError``."""
    reference = get_reference(request.reference)
    profile = profile_of(
        request.profile or DEFAULT_PROFILE, request.dataset, request.backbone, request.recipe, reference
    )
    said = (_other_reference(reference), request.backbone, other_recipe(profile, request.recipe))
    suffix = "".join(f"-{in_names(each)}" for each in said if each)
    name = f"{profile.split.name}-own-{profile.name}{suffix}-s{request.seed}"
    name = name if request.study is None else request.study
    spec = StudySpec.without_search(
        name=check_name(name), profile=profile, seed=request.seed, reference=reference
    )
    return own_trainings(spec, request)


def own_trainings(spec: StudySpec, request: TrainRequest, target: int = 0) -> Plan:
    """Return the plan that trains the user's block in the study of ``spec``; raises ``UserError``."""
    check_seed(request.seed)
    if not 1 <= request.seeds <= MAX_SEEDS:
        raise UserError(f"--seeds {request.seeds}: must be between 1 and {MAX_SEEDS}")
    own = request.network(spec)
    seeds = range(request.seed, request.seed + request.seeds)
    beside = tuple(Training(architecture=own, seed=seed, chosen_by="user") for seed in seeds)
    return Plan(spec=spec, space=stored_space(spec), target=target, beside=beside)


def check_seed(seed: int) -> None:
    """Raise ``UserError`` unless ``seed`` can be one."""
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"--seed {seed}: must be between 0 and {MAX_SEED}")


def seconds_of(text: str) -> float:
    """Return the seconds that ``1h30m``, ``10m`` or ``90s`` (or ``90``) mean; raises ``UserError``."""
    match = _TIME.fullmatch(text.strip())
    hours, minutes, seconds = (int(match[key] or 0) if match else 0 for key in "hms")
    total = 3600 * hours + 60 * minutes + seconds
    if total < 1:
        raise UserError(f"--time-limit {text!r}: must be a time such as 90s, 10m or 1h30m")
    return float(total)


def profile_of(
    name: str,
    dataset: str | Content | None,
    backbone: str | None,
    recipe: str | None = None,
    reference: Backbone = REFERENCE,
) -> Profile:
    """Return the profile called ``name`` with another ``recipe``, data set or backbone; raises ``UserError``.

    Without a ``backbone`` it trains in the proxy that stands for ``reference``.
    """
    if recipe is not None:
        check_one_of("--recipe", recipe, RECIPES)
    profile = get_profile(name)
    if recipe == "sgd" and profile.sgd:
        profile = replace(profile, recipe=profile.sgd)
    profile = (
        profile
        if dataset is None
        else profile.on(content_of(dataset) if isinstance(dataset, str) else dataset)
    )
    if backbone is None:
        return profile.at(reference)
    return replace(profile, backbone=cifar_backbone(backbone).name)


def other_recipe(profile: Profile, recipe: str | None) -> str | None:
    """Return the name of ``recipe`` unless it is what the profile has of itself."""
    return recipe if profile.sgd else None


def _sampler(asked: str | None, space: Space) -> str:
    """Return the name of the sampler: one that models, unless another is asked for or the space too large for it."""
    if asked is not None:
        check_one_of("--sampler", asked, SAMPLERS)
    name = asked or DEFAULT_SAMPLER
    if not SAMPLERS[name].models or _can_be_modelled(space):
        return name
    if asked is None:
        return LARGE_SPACES
    raise UserError(
        f"--sampler {asked}: space {space.name} is too large to be taken apart; take another, such as {LARGE_SPACES}"
    )


def _can_be_modelled(space: Space) -> bool:
    try:
        Candidates(space)
    except TooManyError:
        return False
    return True


def _with_anchor_seeds(profile: Profile, seeds: int | None) -> Profile:
    if seeds is None:
        return profile
    if not 1 <= seeds <= MAX_SEEDS:
        raise UserError(
            f"--anchor-seeds {seeds}: must be between 1 and {MAX_SEEDS}; for no anchors, --anchors none"
        )
    return replace(profile, anchor_seeds=seeds)


def _rungs(pruner: str | None, profile: Profile) -> tuple[int, ...]:
    if pruner is None:
        return profile.rungs
    check_one_of("--pruner", pruner, PRUNERS)
    if pruner == "none" or profile.rungs:
        return profile.rungs if pruner == "rungs" else ()
    for eta in (3, 2):
        if profile.recipe.epochs % eta == 0:
            return rung_epochs(profile.recipe.epochs // eta, eta, profile.recipe.epochs)
    raise UserError(
        f"--pruner rungs: {profile.recipe.epochs} epochs of the profile {profile.name} cannot be cut into rungs; "
        "take another profile"
    )


def _anchors(which: str, reference: Backbone, body: Backbone) -> list[Architecture]:
    """Return published networks to train, at the reference; raises ``UserError`` for what ``body`` cannot hold."""
    names = [PLAIN_BLOCK, paper_block(reference)] if which == "two" else anchor_blocks(which)
    forms = [canonical_at_reference(as_blocks(name), reference) for name in names]
    for form, text in zip(forms, names, strict=True):
        try:
            reference.place(form)
            body.place(form)
        except UserError as error:
            raise UserError(f"--anchors {which}: {text}: {error}; take --anchors two or none") from None
    return [Architecture(blocks=form, backbone=reference) for form in dict.fromkeys(forms)]


def _other_reference(reference: Backbone) -> str:
    """Return how a study's name says its reference, empty for the usual one."""
    return "" if reference == REFERENCE else in_names(reference.name)


def in_names(backbone: str) -> str:
    """Return the name of a backbone as it stands in the name of a study, which is one of a folder."""
    return re.sub("[:@]", "-", backbone)


def _default_name(request: Request, space: Space, profile: Profile, rungs: tuple[int, ...]) -> str:
    """Return ``<dataset>-<space>-<budget>g-<profile>-s<seed>``, with what is not the default after it."""
    short = re.sub(r"[^A-Za-z0-9._-]", "-", space.name)
    sizes = [
        (request.budget_gflops, "g"),
        (request.budget_params_m, "m"),
        (request.budget_activations_m, "a"),
        (request.budget_latency_ms, "ms"),
    ]
    size = "".join(f"{amount:g}{unit}-".replace("+", "") for amount, unit in sizes if amount is not None)
    parts = [f"{profile.split.name}-{short}-{size}{profile.name}-s{request.seed}"]
    parts += filter(None, [_other_reference(space.reference)])
    parts += [request.mode] if request.mode != "constrained" else []
    parts += [request.sampler] if request.sampler not in (None, DEFAULT_SAMPLER) else []
    parts += [in_names(request.backbone)] if request.backbone else []
    parts += filter(None, [other_recipe(profile, request.recipe)])
    parts += [_PRUNED[bool(rungs)]] if bool(rungs) != bool(profile.rungs) else []
    return check_name("-".join(parts))
