"""What a study was asked to do: plain data, alike in the database and in the archive."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated

from skexplore.arch import (
    FREE,
    REFERENCE,
    Architecture,
    Backbone,
    Band,
    Blocks,
    Bound,
    FlopsUnit,
    Sizes,
    SKBlock,
    Trait,
    as_blocks,
    band_bounds,
    blocks_of,
    body_of,
    budget_bounds,
    canonical_at_reference,
    cost,
    flops_unit,
    format_network,
    get_backbone,
    get_reference,
    parse_block,
    parse_blocks,
    read_network,
    reference_words,
    says_body,
    stand_in,
    traits_of,
    varied_as,
    written_for,
)
from skexplore.files import among
from skexplore.paper import ANCHOR_SETS
from skexplore.space import BODY, Condition, Space
from skexplore.study.design import PLAIN_BLOCK, Design, Variant, paper_block
from skexplore.study.latency import LatencyTerms, latency_said
from skexplore.study.recipe import Profile, Recipe, Split
from skexplore.study.record import Record
from skexplore.study.samplers import SAMPLERS

MODES = ("constrained", "pareto")
KEEP_WEIGHTS = ("front", "anchors", "all", "none")

# text fields with few values: an archive or a database with others is refused
Sampler = Annotated[str, among(SAMPLERS, "none")]  # none searches nothing
Mode = Annotated[str, among(MODES)]
KeepWeights = Annotated[str, among(KEEP_WEIGHTS)]
Anchors = Annotated[str, among(ANCHOR_SETS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """What a study was asked to do. Budgets are at the reference: 10^9 multiply-adds, 10^6 parameters, activations.

    reference: the name of the backbone for which blocks are written, as ``NAME`` or ``NAME@HxW``. mode: ``constrained``
    (least error within the budget) or ``pareto`` (error and macs). rungs: epochs after which the pruner ``rungs`` may
    stop a trial, the last the recipe's; empty with the pruner ``none``. keep_weights: of which trainings, ``front``,
    ``anchors`` (and the front), ``all`` or ``none``. latency: how latencies are measured, None where they are not; they
    and their budget, in milliseconds, are of networks at the reference too. space_base, space_decisions,
    space_conditions, band_*: the whole space as it was, since a file of that name may change. ablation: the variants of
    an ablation or a confirmation, which search nothing.
    """

    name: str
    space: str
    space_hash: str
    space_base: str = ""
    space_decisions: dict[str, list[str | int]] = field(default_factory=dict)
    space_conditions: tuple[Condition, ...] = ()
    band_gflops: Band = FREE
    band_params_m: Band = FREE
    band_activations_m: Band = FREE
    budget_gflops: float | None
    budget_params_m: float | None = None
    budget_activations_m: float | None = None
    budget_latency_ms: float | None = None
    latency: LatencyTerms | None = None
    profile: str
    reference: str = REFERENCE.name
    backbone: str
    recipe: Recipe
    split: Split
    sampler: Sampler
    mode: Mode = "constrained"
    rungs: tuple[int, ...] = ()
    keep_weights: KeepWeights = "front"
    anchors: Anchors
    anchor_seeds: int
    seed: int
    ablation: Design | None = None
    version: int = 1

    @staticmethod
    def without_search(
        *,
        name: str,
        profile: Profile,
        seed: int,
        reference: Backbone = REFERENCE,
        ablation: Design | None = None,
    ) -> StudySpec:
        """Return what a study is that searches nothing: own trainings, an ablation or a confirmation."""
        return StudySpec(
            name=name,
            **space_fields(
                Space(name="none", description="", base=parse_block("k3"), decisions={}, reference=reference)
            ),  # type: ignore[arg-type]
            budget_gflops=None,
            profile=profile.name,
            backbone=profile.backbone,
            recipe=profile.recipe,
            split=profile.split,
            sampler="none",
            keep_weights="all",  # there is no front here to keep them for
            anchors="none",
            anchor_seeds=0,
            seed=seed,
            ablation=ablation,
        )

    @property
    def stored(self) -> dict[str, object]:
        """Recipe and split as they are kept in files: as versions before some of their fields kept them."""
        return {"recipe": self.recipe.stored, "split": self.split.stored}

    @property
    def searches(self) -> bool:
        """Whether the study is a search: the opposite of ``without_search``."""
        return self.sampler != "none"

    @property
    def reference_body(self) -> Backbone:
        """The reference: the network for which blocks are written."""
        return get_reference(self.reference)

    @property
    def body(self) -> Backbone:
        """The backbone with the classes of the data set: the network that is trained, without its block."""
        return self._trained(self.backbone, self.reference_body)

    def _trained(self, backbone: str, whole: Backbone) -> Backbone:
        return self.split.around(stand_in(get_backbone(backbone), whole))

    @property
    def paper_block(self) -> str:
        """The block that the paper has in networks like the reference."""
        return paper_block(self.reference_body)

    def at_reference(self, blocks: str | SKBlock | Blocks) -> Architecture:
        """Return the network of ``blocks`` at the reference, in their one spelling there; raises ``UserError``.

        Text may name a body of its own (``BLOCKS in BODY``): then it is the network there.
        """
        if isinstance(blocks, str):
            return read_network(blocks, self.reference_body)
        own = canonical_at_reference(as_blocks(blocks), self.reference_body)
        return Architecture(blocks=own, backbone=self.reference_body)

    def text_of(self, own: Architecture) -> str:
        """Return the notation of blocks, with their body where bodies are chosen and it is not the reference.

        A variant of another reference (a row of Table 3) is no choice of a body: its text is that of its blocks.
        """
        return format_network(
            own.blocks, own.backbone, self.reference_body if self.decides_body else own.backbone
        )

    def traits(self, record: Record) -> dict[str, Trait]:
        """Return what the block of ``record`` is made of, and its body where bodies are chosen."""
        return dict(_traits(record.block, self.written_for(record), self.decides_body))

    @property
    def decides_body(self) -> bool:
        """Whether networks around the blocks are chosen: by the space, or by that of the search it confirms."""
        variants = self.ablation.variants if self.ablation else ()
        return any(path in BODY for path in self.space_decisions) or any(
            says_body(variant.block) for variant in variants
        )

    def backbone_for(self, own: Architecture) -> str:
        """Return the name of the proxy that stands for the body of ``own``, empty where it is the study's."""
        if not self.decides_body:
            return ""
        name = varied_as(self.backbone, own.backbone, self.reference_body)
        return "" if name == self.backbone else name

    def proxy(self, architecture: Architecture, backbone: str = "") -> Architecture:
        """Return the network that is trained for ``architecture``, in the study's backbone or in another."""
        whole = architecture.backbone if self.decides_body else self.reference_body
        name = backbone or self.backbone_for(architecture) or self.backbone
        return replace(architecture, backbone=self._trained(name, whole))

    def written_for(self, record: Record) -> Backbone:
        """Return the network that the numbers in the block of ``record`` are of: a variant may have its own."""
        if says_body(record.block):
            return body_of(record.block, self.reference_body)
        for variant in self.ablation.variants if self.ablation else ():
            own = (variant.block, variant.setting) == (record.block, record.setting)
            if own and variant.reference != self.reference:
                return written_for(get_backbone(variant.reference))
        return self.reference_body

    @property
    def reference_words(self) -> str:
        """What the reference is and the size of its images, in words."""
        own = reference_words(self.reference_body)
        return f"{own}, or the trial's own body" if self.decides_body else own

    @property
    def flops_unit(self) -> FlopsUnit:
        """The unit in which multiply-adds at the reference are said."""
        return flops_unit(cost(PLAIN_BLOCK, self.reference_body).macs)

    def trained_for(self, variant: Variant) -> Architecture:
        """Return the network that is trained for ``variant``."""
        return self.proxy(variant.architecture, variant.setting.backbone)

    @property
    def pruner(self) -> str:
        """``rungs`` if trials may be stopped, else ``none``."""
        return "rungs" if self.rungs else "none"

    @property
    def segments(self) -> tuple[int, ...]:
        """Epochs at which a segment of a trial of the search ends."""
        return self.rungs or (self.recipe.epochs,)

    @property
    def max_macs(self) -> float:
        """Budget in multiply-adds, infinite if none was given."""
        return math.inf if self.budget_gflops is None else self.budget_gflops * 1e9

    @property
    def max_params(self) -> float:
        """Budget in parameters, infinite if none was given."""
        return math.inf if self.budget_params_m is None else self.budget_params_m * 1e6

    @property
    def budget(self) -> tuple[float | None, float | None, float | None]:
        """The budget of what is counted: 10^9 multiply-adds, 10^6 parameters, 10^6 activations; None where none is."""
        return self.budget_gflops, self.budget_params_m, self.budget_activations_m

    @property
    def budget_words(self) -> str:
        """The budget as it is written in a sentence."""
        given = [bound.amount for bound in budget_bounds(*self.budget)]
        given += [] if self.budget_latency_ms is None else [latency_said(self.budget_latency_ms)]
        return f"budget {' and '.join(given)}" if given else "no budget"

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The budget's limits, then those of the space's bands."""
        return budget_bounds(*self.budget) + band_bounds(
            self.band_gflops, self.band_params_m, self.band_activations_m
        )

    def sizes(self, record: Record) -> Sizes:
        """Return what is limited of the record's architecture, at the reference; activations are 0 if they are not."""
        return self._sizes(record, self.bounds)

    @property
    def limits_activations(self) -> bool:
        """Whether activations are limited, by a budget or a band."""
        return _limited(self.bounds)

    def _sizes(self, record: Record, bounds: tuple[Bound, ...]) -> Sizes:
        # records do not have them
        activations = _activations(record.block, self.reference_body) if _limited(bounds) else 0
        return Sizes(record.ref_macs, record.ref_params, activations)

    def within(self, record: Record) -> bool:
        """Whether the record's architecture keeps every budget, and every band of the space, at the reference."""
        return not self.too_slow(record) and self.counted_within(record)

    def too_slow(self, record: Record) -> bool:
        """Whether the record's architecture was measured and takes longer than the budget of latency."""
        limit, own = self.budget_latency_ms, record.ref_latency_ms
        return limit is not None and own is not None and own > limit

    def counted_within(self, record: Record) -> bool:
        """Whether the record's architecture keeps all limits on what is counted, whatever time it takes."""
        bounds = self.bounds
        sizes = self._sizes(record, bounds)
        return all(bound.keeps(sizes) for bound in bounds)


@lru_cache(maxsize=65536)  # tables and pages ask again and again
def _traits(block: str, body: Backbone, bodies: bool) -> dict[str, Trait]:
    return traits_of(parse_blocks(blocks_of(block)), body, bodies=bodies)


def _limited(bounds: tuple[Bound, ...]) -> bool:
    return any(bound.cost == "activations" for bound in bounds)


@lru_cache(maxsize=65536)
def _activations(block: str, reference: Backbone) -> int:
    return read_network(block, reference).cost().activations


def space_fields(space: Space) -> dict[str, object]:
    """Return the fields of a ``StudySpec`` that keep ``space``; ``stored_space`` reads them."""
    return {
        "space": space.name,
        "space_hash": space.hash,
        "space_base": str(space.base),
        "space_decisions": {path: list(levels) for path, levels in space.decisions.items()},
        "space_conditions": space.conditions,
        "band_gflops": space.band_gflops,
        "band_params_m": space.band_params_m,
        "band_activations_m": space.band_activations_m,
        "reference": space.reference.name,
    }


def stored_space(spec: StudySpec) -> Space:
    """Return the space of a study as it was when the study began."""
    return Space(
        name=spec.space,
        description="",
        base=parse_block(spec.space_base or "k3"),
        decisions={path: tuple(levels) for path, levels in spec.space_decisions.items()},
        conditions=spec.space_conditions,
        band_gflops=spec.band_gflops,
        band_params_m=spec.band_params_m,
        band_activations_m=spec.band_activations_m,
        reference=spec.reference_body,
    )
