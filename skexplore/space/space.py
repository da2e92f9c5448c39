"""Search spaces: a base block and decisions that change it, from strict YAML.

A decision is a dotted path and its levels. Paths: ``branches.N`` (a branch in block notation, or ``none``),
``branches.N.groups`` (replaces the groups of that branch), ``reduction``, ``min_dim``, ``fuse``; with
``stages.K.`` before it a decision acts on stage K alone (``stages.*.`` or nothing: on all). Every decision is
always asked; what does not act is removed by the canonical form, so that a sampler sees one constant space.
Conditions act when a point is decoded; bands of cost say which blocks belong to the space.

``backbone``, ``depths`` and ``width`` decide the network around the blocks, its body: such a space is a plain one of
blocks for each body, all together.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from skexplore.arch import (
    FREE,
    MOST_UNITS,
    REFERENCE,
    Architecture,
    Backbone,
    Band,
    Blocks,
    Bound,
    Branch,
    SKBlock,
    band_bounds,
    canonical_at_reference,
    counts_groups,
    deepened,
    get_backbone,
    get_reference,
    is_proxy,
    kernels_of,
    parse_block,
    parse_branch,
    stand_in,
    varied_as,
)
from skexplore.errors import UserError
from skexplore.files import Must, Problem, define, read_by, read_yaml
from skexplore.shipped import find_shipped, shipped
from skexplore.space.decisions import (
    BODY,
    NONE,
    Condition,
    Level,
    Target,
    body_name,
    body_problems,
    condition_problems,
    decision_problems,
    representative_points,
    resolved,
    target_of,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A base block and named decisions with their levels, in order.

    conditions: act in order on the levels of a point before it is decoded. band_*: the least and
    greatest cost of a block of the space at the reference, in 10^9 multiply-adds, 10^6 parameters and 10^6 activations,
    None where there is no limit. reference: the network for which its blocks are written.
    """

    name: str
    description: str
    base: SKBlock
    decisions: Mapping[str, tuple[Level, ...]]
    conditions: tuple[Condition, ...] = ()
    band_gflops: Band = FREE
    band_params_m: Band = FREE
    band_activations_m: Band = FREE
    reference: Backbone = REFERENCE

    @staticmethod
    def load(source: str | Path, reference: str | None = None) -> Space:
        """Return the space called ``source`` or written in the file ``source``.

        A name is looked up in ``search_spaces/`` of the current folder, then among those shipped. ``reference``: the
        name of another than the file's. Raises ``UserError`` that lists everything wrong with the file, each with its
        dotted path, and what the reference cannot hold.
        """
        path = find_space(str(source))
        given = read_yaml(path)
        if reference is not None and isinstance(given, dict):
            given = {**given, "reference": get_reference(reference).name}
        space = define(_File, given, str(path), _problems).space()
        _check_never_empty(space, str(path))
        for _, own in space.plain():
            if own.reference != REFERENCE:
                own.check_buildable(own.reference)
        return space

    @property
    def decides_body(self) -> bool:
        """Whether decisions choose the network around the blocks."""
        return any(path in BODY for path in self.decisions)

    @property
    def where(self) -> str:
        """Where costs of its blocks are counted, in words."""
        return "in its own body" if self.decides_body else "at the reference"

    def plain(self) -> list[tuple[dict[str, Level], Space]]:
        """Return the space taken apart by body: the levels that choose each, and the plain space of its blocks there.

        A body that can be chosen in two ways is there once, by the name of the first.
        """
        if not self.decides_body:
            return [({}, self)]
        found: dict[Backbone, tuple[dict[str, Level], Space]] = {}
        for levels, body in self._bodies.items():
            found.setdefault(body, (dict(levels), self._in(levels, body)))
        return [*found.values()]

    def network(self, levels: Mapping[str, Level]) -> Architecture:
        """Return the network at the reference, or in its own body, that the chosen ``levels`` mean."""
        if not self.decides_body:
            return Architecture(blocks=self.decode(levels), backbone=self.reference)
        chosen = tuple((path, levels[path]) for path in self.decisions if path in BODY)
        own = self._in(chosen, self._bodies[chosen])
        rest = {path: level for path, level in levels.items() if path not in BODY}
        return Architecture(blocks=own.decode(rest), backbone=own.reference)

    @property
    def _bodies(self) -> Mapping[_Chosen, Backbone]:
        paths = [path for path in self.decisions if path in BODY]
        return _bodies(self.reference, tuple((path, self.decisions[path]) for path in paths))

    def _in(self, levels: _Chosen, body: Backbone) -> Space:
        """Return the plain space of the blocks in the body that ``levels`` choose."""
        own = dict(levels)
        return replace(
            self,
            decisions={path: own for path, own in self.decisions.items() if path not in BODY},
            conditions=tuple(
                replace(each, when={path: wanted for path, wanted in each.when.items() if path not in BODY})
                for each in self.conditions
                if all(own[path] in wanted for path, wanted in each.when.items() if path in BODY)
            ),
            reference=body,
        )

    @property
    def stages(self) -> tuple[int, ...]:
        """The numbers of the reference's stages, from 1."""
        return tuple(range(1, len(self.reference.stages) + 1))

    @property
    def raw_size(self) -> int:
        """Number of combinations of levels, equivalent ones counted each."""
        return math.prod(len(levels) for levels in self.decisions.values())

    @property
    def stagewise(self) -> bool:
        """Whether a decision acts on one stage alone."""
        return any(target_of(path)[0] is not None for path in self.decisions)

    @property
    def decides_groups(self) -> bool:
        """Whether blocks of the space differ in groups."""
        levels = [str(level) for path, own in self.decisions.items() for level in own if path not in BODY]
        return any(path.endswith(".groups") for path in self.decisions) or any("g" in text for text in levels)

    def in_which_depths_show(self, proxy: str) -> str:
        """Return the name of ``proxy``, or where depths are chosen of one with the units that tell the bodies apart."""
        if not {"backbone", "depths"} & {*self.decisions} or not is_proxy(proxy):
            return proxy
        deeper = [deepened(proxy, self.reference, units) for units in range(1, MOST_UNITS + 1)]
        return next(filter(self._told_apart_in, deeper), deeper[0])

    def _told_apart_in(self, proxy: str) -> bool:
        try:
            trained = [replace(varied, name="") for _, varied in self._trained_in(proxy)]
        except UserError:
            return False
        return len(set(trained)) == len(trained)

    def _trained_in(self, proxy: str) -> list[tuple[Space, Backbone]]:
        """Return the plain spaces of ``plain``, each with what ``proxy`` is varied to for it; raises ``UserError``."""
        return [
            (own, stand_in(get_backbone(varied_as(proxy, own.reference, self.reference)), own.reference))
            for _, own in self.plain()
        ]

    def check_trained_in(self, proxy: str) -> None:
        """Raise ``UserError`` unless what ``proxy`` is varied to can build the blocks, another for each body."""
        first: dict[Backbone, Backbone] = {}
        for own, varied in self._trained_in(proxy):
            other = first.setdefault(replace(varied, name=""), own.reference)
            if other != own.reference:
                raise UserError(
                    f"space {self.name}: {other.name} and {own.reference.name} are one network in the proxy {proxy}: "
                    "no training can tell them apart; take a --backbone of more units, or leave one of the two out"
                )
            own.check_buildable(varied)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The limits that the bands set."""
        return band_bounds(self.band_gflops, self.band_params_m, self.band_activations_m)

    @property
    def hash(self) -> str:
        """Identity of the space: base, decisions, conditions, bands and reference, whatever it is called."""
        data: list[Any] = [str(self.base), {path: list(levels) for path, levels in self.decisions.items()}]
        if self.conditions or self.bounds:  # a space without them keeps the hash that its archives hold
            conditions = [
                [{path: sorted(map(str, levels)) for path, levels in sorted(each.when.items())}, each.then]
                for each in self.conditions
            ]
            data += [conditions, [[bound.name, bound.limit] for bound in self.bounds]]
        data += [self.reference.name] if self.reference != REFERENCE else []
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]

    @property
    def kernels(self) -> tuple[tuple[Branch, ...], ...]:
        """Every kernel and dilation that a branch can have, for each stage of the reference."""
        chosen: dict[tuple[int | None, int], Sequence[Level]] = {}
        for path, levels in self.decisions.items():
            stage, (kind, number) = target_of(path)
            if kind == "branch":
                chosen[stage, number] = levels
        base: dict[int, Sequence[Level]] = {
            number: [str(branch)] for number, branch in enumerate(self.base.branches, start=1)
        }
        numbers = {*base, *(number for _, number in chosen)}
        return tuple(
            kernels_of(
                parse_branch(str(level))
                for number in sorted(numbers)
                for level in chosen.get((stage, number), chosen.get((None, number), base.get(number, ())))
                if level != NONE
            )
            for stage in self.stages
        )

    def decode(self, levels: Mapping[str, Level]) -> Blocks:
        """Return the canonical blocks that the chosen ``levels`` (one per decision) mean.

        A decision of one stage goes before the same decision of all stages. Raises ``UserError`` where the body is
        decided too: ``network`` has both.
        """
        if self.decides_body:
            raise UserError(
                f"space {self.name}: decides the network around its blocks too; ask for network(levels)"
            )
        tied: dict[Target, Level] = {}
        freed: dict[int, dict[Target, Level]] = {}
        for path, level in resolved(self.conditions, levels).items():
            stage, target = target_of(path)
            (tied if stage is None else freed.setdefault(stage, {}))[target] = level
        if not freed:
            return canonical_at_reference((_changed(self.base, tied),), self.reference)
        blocks = tuple(_changed(self.base, tied | freed.get(stage, {})) for stage in self.stages)
        return canonical_at_reference(blocks, self.reference)

    def points(self) -> Iterator[dict[str, Level]]:
        """Yield every combination of levels, in order."""
        for chosen in itertools.product(*self.decisions.values()):
            yield dict(zip(self.decisions, chosen, strict=True))

    def sample(self, generator: random.Random) -> dict[str, Level]:
        """Return one combination of levels, each level equally likely."""
        return {path: generator.choice(levels) for path, levels in self.decisions.items()}

    def check_buildable(self, backbone: Backbone) -> None:
        """Raise ``UserError`` that lists every level, and what of the base stays, that ``backbone`` cannot build."""
        if self.stagewise and len(backbone.stages) != len(self.stages):
            raise UserError(
                f"space {self.name}: decisions of single stages for {backbone.name}: its {len(backbone.stages)} stages "
                f"do not stand for the {len(self.stages)} of the reference {self.reference.name}; take another backbone"
            )
        parts: list[tuple[str, SKBlock, int | None]] = [
            ("base", block, None) for block in _kept_of_base(self)
        ]
        for path, levels in self.decisions.items():
            for level in levels:
                place = f"decisions.{path}: level {level}"
                stage, target = target_of(path)
                parts += [(place, block, stage) for block in _smallest_use(target, level, self.base)]
        if backbone.unit.split_input:  # then channels of a branch depend on how many there are
            parts = [(place, each, stage) for place, block, stage in parts for each in _repeated(block, self)]
        problems: dict[str, list[str]] = {}
        for place, block, stage in parts:
            try:
                backbone.scaled(block, stage)
            except UserError as error:
                problems.setdefault(str(error), []).append(place)
        if problems:
            lines = [f"space {self.name}: {_first(places)}: {reason}" for reason, places in problems.items()]
            raise UserError("\n".join(lines))


def _first(places: Sequence[str]) -> str:
    """Return the first of what is wrong for one reason, and how many more there are."""
    first, *more = dict.fromkeys(places)
    return f"{first} and {len(more)} more" if more else first


_TWO = SKBlock(branches=(Branch(kernel=1), Branch(kernel=1)))  # in which r and L act, in any network


def _repeated(block: SKBlock, space: Space) -> Iterator[SKBlock]:
    """Yield ``block`` with its branch as often as blocks of the space may have branches."""
    given: dict[int, set[Level]] = {n: {""} for n in range(1, len(space.base.branches) + 1)}
    decided: dict[int, set[Level]] = {}
    for path, own in space.decisions.items():
        kind, number = target_of(path)[1]
        if kind == "branch":
            decided.setdefault(number, set()).update(own)
    slots = (given | decided).values()
    least, most = sum(NONE not in own for own in slots), sum(own != {NONE} for own in slots)
    counts = range(max(1, least), most + 1)
    yield from (replace(block, branches=block.branches[:1] * count) for count in counts)


def _kept_of_base(space: Space) -> list[SKBlock]:
    """Return small blocks in which those parts of the base act that no decision replaces on all stages."""
    decided = {path.removeprefix("stages.*.") for path in space.decisions}
    kept = [
        SKBlock(branches=(branch,))
        for number, branch in enumerate(space.base.branches, start=1)
        if not {f"branches.{number}", f"branches.{number}.groups"} & decided
    ]
    if "min_dim" not in decided:
        kept.append(replace(_TWO, min_dim=space.base.min_dim, absolute=space.base.absolute))
    return kept


def _smallest_use(target: Target, level: Level, base: SKBlock) -> list[SKBlock]:
    """Return small blocks in which ``level`` acts: two branches, so that select uses r and L."""
    kind, number = target
    if kind == "groups":
        absolute = number <= len(base.branches) and base.branches[number - 1].absolute
        return [SKBlock(branches=(Branch(kernel=3, groups=int(level), absolute=absolute),))]
    if kind == "branch" and level != NONE:
        return [SKBlock(branches=(parse_branch(str(level)),))]
    if kind == "min_dim":
        return [replace(_TWO, min_dim=int(level), absolute=base.absolute)]
    return []


def _changed(base: SKBlock, settings: Mapping[Target, Level]) -> SKBlock:
    """Return ``base`` with the levels of ``settings`` in place."""
    branches: dict[int, Branch] = dict(enumerate(base.branches, start=1))
    groups: dict[int, int] = {}
    knobs = {"reduction": base.reduction, "min_dim": base.min_dim, "fuse": base.fuse}
    for (kind, number), level in settings.items():
        if kind == "groups":
            groups[number] = int(level)
        elif kind != "branch":
            knobs[kind] = level
        elif level == NONE:
            branches.pop(number, None)
        else:
            branches[number] = parse_branch(str(level))
    chosen = tuple(
        _grouped(branches[number], groups[number]) if number in groups else branches[number]
        for number in sorted(branches)
    )
    return replace(base, branches=chosen, **knobs)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _grouped(branch: Branch, groups: int) -> Branch:
    return replace(branch, groups=groups)


_Chosen = tuple[tuple[str, Level], ...]  # levels of the decisions of the body


@lru_cache(maxsize=64)
def _bodies(
    reference: Backbone, decisions: tuple[tuple[str, tuple[Level, ...]], ...]
) -> Mapping[_Chosen, Backbone]:
    """Return the body of each choice of levels; one that is chosen in two ways has the name of the first."""
    paths = [path for path, _ in decisions]
    first, found = {replace(reference, name=""): reference}, dict[_Chosen, Backbone]()
    for levels in itertools.product(*(own for _, own in decisions)):
        chosen = tuple(zip(paths, levels, strict=True))
        body = get_reference(body_name(reference.name, dict(chosen)))
        found[chosen] = first.setdefault(replace(body, name=""), body)
    return found


def usual_space(reference: Backbone) -> str:
    """Return the name of the shipped space that is meant for networks like ``reference``."""
    if reference.unit.depthwise:
        return "sk-light"
    return "sk-paper" if counts_groups(reference) else "sk-resnet"


def find_space(source: str) -> Path:
    """Return the file of a space given by name or path; raises ``UserError`` with the nearest name."""
    return find_shipped(source, "search_spaces", what="space", file="space file")


def shipped_spaces() -> dict[str, Path]:
    """Return the spaces known by name: the current folder's ``search_spaces`` before those shipped."""
    return shipped("search_spaces")


_CLAUSE = Must("a mapping of decisions to levels, with one at least", min_length=1)
_BAND = Must(
    "[low, high] with low below high, or null for one of them where there is no limit",
    lambda band: band != [None, None] and (None in band or band[0] < band[1]),
    min_length=2,
    max_length=2,
)
_AMOUNT = Must("a positive number or null", gt=0, le=1e9)
_Band = Annotated[list[Annotated[float, _AMOUNT] | None], _BAND]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    """A condition as a file gives it."""

    when: Annotated[dict[Any, Any], _CLAUSE]
    then: Annotated[dict[Any, Any], _CLAUSE]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraints:
    """Bands as a file gives them."""

    gflops: _Band = field(default_factory=lambda: [*FREE])
    params_m: _Band = field(default_factory=lambda: [*FREE])
    activations_m: _Band = field(default_factory=lambda: [*FREE])


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A space as a file gives it."""

    name: Annotated[str, Must("at most 64 letters, digits, '.', '_' and '-'", NAME.fullmatch)]
    description: str = ""
    reference: Annotated[str, read_by(get_reference)] = REFERENCE.name
    base: Annotated[str, read_by(parse_block)]
    decisions: Annotated[dict[Any, Any], Must("a mapping of paths to lists of levels")] = field(
        default_factory=dict
    )
    conditions: Annotated[list[_Condition], Must("a list of {when: {...}, then: {...}}")] = field(
        default_factory=list
    )
    constraints: Annotated[_Constraints, Must("bands such as {gflops: [3.5, 4.5]}")] = field(
        default_factory=_Constraints
    )

    def space(self) -> Space:
        """Return the space."""
        return Space(
            name=self.name,
            description=self.description,
            base=parse_block(self.base),
            decisions={path: tuple(levels) for path, levels in self.decisions.items()},
            conditions=tuple(_condition(each) for each in self.conditions),
            band_gflops=(self.constraints.gflops[0], self.constraints.gflops[1]),
            band_params_m=(self.constraints.params_m[0], self.constraints.params_m[1]),
            band_activations_m=(self.constraints.activations_m[0], self.constraints.activations_m[1]),
            reference=get_reference(self.reference),
        )


def _problems(file: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the data of a file beyond their types."""
    base, decisions = file.get("base"), file.get("decisions", {})
    if decisions == {}:
        yield "decisions", "none given; a space needs at least one"
    decisions = decisions or {}
    reference = get_reference(file.get("reference") or None)
    stages = len(reference.stages)
    yield from decision_problems(decisions, len(parse_block(base).branches) if base else 8, stages)
    yield from body_problems(reference, decisions, file)
    yield from condition_problems(file.get("conditions") or (), decisions)


def _condition(given: _Condition) -> Condition:
    when = {
        path: tuple(wanted) if isinstance(wanted, list) else (wanted,) for path, wanted in given.when.items()
    }
    return Condition(when=when, then=dict(given.then))


def _check_never_empty(space: Space, source: str) -> None:
    """Refuse a space in which every branch can be ``none`` at once."""
    for point in representative_points(space.decisions, space.conditions):
        try:
            space.network(point)
        except UserError as error:
            raise UserError(
                f"{source}: decisions: with none wherever it is allowed no block is left ({error}); "
                "give one branch no level none"
            ) from None
