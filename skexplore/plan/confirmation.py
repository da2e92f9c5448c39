"""What is asked of a confirmation: a search's finalists, trained longer with fresh seeds beside what they must beat."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

from skexplore.arch import Architecture
from skexplore.errors import UserError
from skexplore.plan.ablation import begun, plan_design, seeds_of
from skexplore.plan.search import Plan, profile_of
from skexplore.space import Candidates, TooManyError
from skexplore.study import (
    LEVEL,
    PLAIN_BLOCK,
    Design,
    Profile,
    Record,
    Study,
    StudySpec,
    Variant,
    check_name,
    get_profile,
    load_study,
    stored_space,
)

OF_THE_FRONT = 3
RANDOM = 2  # feasible blocks that nobody chose
SEEDS = 3
MOST = 50  # finalists
LONGER = 2  # times the epochs of the search
ATTEMPTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmRequest:
    """A confirmation as it is asked for.

    top: how many finalists of ``study``, the most believed first; None for all that may be its best. profile: None for
    the search's, longer.
    """

    study: str
    top: int | None = None
    seeds: int | None = None
    profile: str | None = None
    name: str | None = None


def plan_confirmation(request: ConfirmRequest) -> Plan:
    """Check ``request`` and return what it means; raises ``UserError``.

    The finalists are frozen by the first call: a search that has gone on since is refused under the same name, because
    the test set is read once for each.
    """
    if request.top is not None and not 1 <= request.top <= MOST:
        raise UserError(f"--top {request.top}: must be between 1 and {MOST}")
    search = load_study(request.study)
    if not search.spec.searches:
        raise UserError(f"{search.spec.name}: is no search, and has no finalists; give the study of a search")
    profile = _scale(search, request.profile)
    _check_longer(search, profile)
    name = request.name or "-".join(
        [search.spec.name, "confirm", *([request.profile] if request.profile else [])]
    )
    design = Design(
        description=f"Finalists of {search.spec.name}, trained anew with fresh seeds",
        kinds=("confirm",),
        baseline=search.spec.paper_block,
        variants=tuple(
            _in_proxies(_variants(search, request.top), replace(search.spec, backbone=profile.backbone))
        ),
        seeds=seeds_of(request.seeds, SEEDS, check_name(name)),
        of=search.spec.name,
        test=True,
    )
    seed = 1 + max(record.seed for record in search.records)
    frozen = begun(name)
    if frozen is not None:
        design, seed = _same_finalists(frozen, design, name), frozen.seed
    return plan_design(design, profile, name=name, seed=seed, reference=search.spec.reference_body)


def _scale(search: Study, profile: str | None) -> Profile:
    """Return the search's own scale with ``LONGER`` times its epochs, or that of ``profile`` on its data set."""
    spec = search.spec
    if profile is not None:
        found = profile_of(profile, spec.split.content, None, reference=spec.reference_body)
        space = stored_space(spec)
        found = replace(found, backbone=space.in_which_depths_show(found.backbone))
        if space.decides_body:
            try:
                space.check_trained_in(found.backbone)
            except UserError as error:
                raise UserError(f"--profile {profile}: {error}, or leave --profile out") from None
        return found
    recipe = replace(spec.recipe, epochs=LONGER * spec.recipe.epochs, cycles=())  # nothing is stopped here
    return replace(get_profile(spec.profile), backbone=spec.backbone, recipe=recipe, split=spec.split)


def _check_longer(search: Study, profile: Profile) -> None:
    """Refuse a confirmation that would tell no more of a block than the search did."""
    was, now = (each.recipe.epochs * each.split.train_images for each in (search.spec, profile))
    if now <= was:
        raise UserError(
            f"--profile {profile.name}: trains each block on {now:,} images, and the search did on {was:,}; a "
            "confirmation trains longer: take a larger profile, or leave it out for twice the search's epochs"
        )


def finalists(search: Study, top: int | None) -> list[Record]:
    """Return what is confirmed of a search, the most believed first; raises ``UserError``.

    The ``top`` of all; without it what may be the best, or where that is not known the best three of the front.
    """
    said, eligible = search.answer, search.eligible()
    if top is None and said is None:
        eligible = search.front
    elif top is None and said is not None:
        eligible = [record for record in eligible if record.block in said.may_be_best]
    by_belief = sorted(eligible, key=lambda r: (search.estimated(r), r.ref_macs, r.number))
    distinct = list({record.arch_id: record for record in by_belief}.values())
    if not distinct:
        raise UserError(
            f"{search.spec.name}: no trial is complete within its budget, so there is nothing to confirm yet"
        )
    return distinct[: top or (MOST if said else OF_THE_FRONT)]


def _variants(search: Study, top: int | None) -> Iterator[Variant]:
    for variant in _chosen(search, top):
        found = search.estimates.get(variant.block)
        if found is None or found.low is None or found.high is None:
            yield variant
        else:
            sd = (found.high - found.low) / (2 * NormalDist().inv_cdf((1 + LEVEL) / 2))
            yield replace(variant, believed=found.estimate, believed_sd=sd)


def _in_proxies(variants: Iterable[Variant], spec: StudySpec) -> Iterator[Variant]:
    """Yield ``variants``, those in a body of their own in the proxy that ``spec`` has for it."""
    for variant in variants:
        backbone = spec.backbone_for(variant.architecture)
        yield replace(variant, setting=replace(variant.setting, backbone=backbone)) if backbone else variant


def _chosen(search: Study, top: int | None) -> Iterator[Variant]:
    def variant(block: str, role: str, error: float | None) -> Variant:
        return Variant(
            name=block, block=block, reference=search.spec.reference, role=role, searched_error=error
        )

    chosen = finalists(search, top)
    spec = search.spec
    published = {block: spec.at_reference(block).id for block in (spec.paper_block, PLAIN_BLOCK)}
    taken = {*published.values()}
    for record in chosen:
        if record.arch_id not in taken:
            yield variant(record.block, "finalist", record.val_error)
    found = {record.arch_id for record in chosen}
    for block, own in published.items():
        role = "finalist" if own in found else "anchor"  # a search may find the paper's block itself
        yield variant(block, role, _searched(search, own))
    for drawn in _random_blocks(search, taken | found):
        yield variant(search.spec.text_of(drawn), "random", _searched(search, drawn.id))


def _searched(search: Study, own: str) -> float | None:
    """Return the mean validation error that an architecture had in the search, anchors' seeds included."""
    errors = [
        record.val_error
        for record in search.records
        if record.arch_id == own and record.status == "complete" and record.val_error is not None
    ]
    return sum(errors) / len(errors) if errors else None


def _random_blocks(search: Study, taken: set[str]) -> Iterator[Architecture]:
    """Yield distinct blocks within the budget that the space's seed draws, each architecture equally likely.

    What the search did not measure may take longer than a budget of latency.
    """
    slow = {record.arch_id for record in search.records if search.spec.too_slow(record)}
    space, generator = stored_space(search.spec), random.Random(f"confirm {search.spec.seed}")
    try:
        candidates: Candidates | None = Candidates(space)
    except TooManyError:
        candidates = None
    left = RANDOM
    for _ in range(ATTEMPTS):
        levels = candidates.draw(generator) if candidates else space.sample(generator)
        drawn = space.network(levels)
        own, size = drawn.id, drawn.cost()
        if own in taken | slow or not all(bound.keeps(size) for bound in search.spec.bounds):
            continue
        taken.add(own)
        yield drawn
        left -= 1
        if not left:
            return


def _same_finalists(frozen: StudySpec, design: Design, name: str) -> Design:
    """Return the design that was confirmed before; raises ``UserError`` if it was of other blocks."""
    old = frozen.ablation
    if old is None or old.of != design.of:
        raise UserError(f"study {name} exists and confirms something else; choose another --study name")
    was, now = ([v.block for v in each.variants if v.role == "finalist"] for each in (old, design))
    if was != now:
        raise UserError(
            f"study {name} confirms {', '.join(was)}; the finalists are now {', '.join(now)}. The test set is read "
            "once for a choice: give --study NAME to confirm the new ones by themselves"
        )
    read = {
        record.seed - frozen.seed + 1 for record in load_study(name).records if record.test_error is not None
    }
    if design.seeds < max(read, default=0):
        raise UserError(
            f"--seeds {design.seeds}: study {name} has test errors under {max(read)} already, and fewer seeds would "
            "choose among them; leave it out, or give more"
        )
    return replace(old, seeds=design.seeds)
