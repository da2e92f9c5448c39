"""Search spaces: a base block and decisions that change it, from strict YAML.

A decision is a dotted path and its levels. Paths: ``branches.N`` (a branch in block notation, or ``none``),
``branches.N.groups`` (replaces the groups of that branch), ``reduction``, ``min_dim``, ``fuse``; with
``stages.K.`` before it a decision acts on stage K alone (``stages.*.`` or nothing: on all). Every decision is
always asked; what does not act is removed by the canonical form, so that a sampler sees one constant space.
Conditions act when a point is decoded; bands of cost say which blocks belong to the space.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from skexplore.arch import (
    FREE,
    Backbone,
    Band,
    Blocks,
    Bound,
    Branch,
    SKBlock,
    band_bounds,
    canonical_at_reference,
    parse_block,
    parse_branch,
    scale_block,
)
from skexplore.errors import UserError
from skexplore.files import read_yaml
from skexplore.shipped import find_shipped, shipped
from skexplore.space.decisions import (
    NONE,
    STAGES,
    Condition,
    Level,
    Problem,
    Target,
    condition_problems,
    constraint_problems,
    decision_problems,
    representative_points,
    resolved,
    shown,
    target_of,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_SHOWN = 50  # problems of one file
KEYS = ("name", "description", "base", "decisions", "conditions", "constraints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A base block and named decisions with their levels, in order.

    conditions: act in order on the levels of a point before it is decoded. band_gflops, band_params_m: the
    least and greatest cost of a block of the space at the reference, in 10^9 multiply-adds and 10^6
    parameters, None where there is no limit.
    """

    name: str
    description: str
    base: SKBlock
    decisions: Mapping[str, tuple[Level, ...]]
    conditions: tuple[Condition, ...] = ()
    band_gflops: Band = FREE
    band_params_m: Band = FREE

    @staticmethod
    def load(source: str | Path) -> Space:
        """Return the space called ``source`` or written in the file ``source``.

        A name is looked up in ``search_spaces/`` of the current folder, then among those shipped. Raises
        ``UserError`` that lists everything wrong with the file, each with its dotted path.
        """
        path = find_space(str(source))
        return _checked(read_yaml(path), str(path))

    @property
    def raw_size(self) -> int:
        """Number of combinations of levels, equivalent ones counted each."""
        return math.prod(len(levels) for levels in self.decisions.values())

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The limits that the bands set."""
        return band_bounds(self.band_gflops, self.band_params_m)

    @property
    def hash(self) -> str:
        """Identity of the space: base, decisions, conditions and bands, whatever it is called."""
        data: list[Any] = [str(self.base), {path: list(levels) for path, levels in self.decisions.items()}]
        if self.conditions or self.bounds:  # a space without them keeps the hash that its archives hold
            conditions = [
                [{path: sorted(map(str, levels)) for path, levels in sorted(each.when.items())}, each.then]
                for each in self.conditions
            ]
            data += [conditions, [[bound.name, bound.limit] for bound in self.bounds]]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]

    def decode(self, levels: Mapping[str, Level]) -> Blocks:
        """Return the canonical blocks that the chosen ``levels`` (one per decision) mean.

        A decision of one stage goes before the same decision of all stages.
        """
        tied: dict[Target, Level] = {}
        freed: dict[int, dict[Target, Level]] = {}
        for path, level in resolved(self.conditions, levels).items():
            stage, target = target_of(path)
            (tied if stage is None else freed.setdefault(stage, {}))[target] = level
        if not freed:
            return canonical_at_reference((_changed(self.base, tied),))
        return canonical_at_reference(
            tuple(_changed(self.base, tied | freed.get(stage, {})) for stage in STAGES)
        )

    def points(self) -> Iterator[dict[str, Level]]:
        """Yield every combination of levels, in order."""
        for chosen in itertools.product(*self.decisions.values()):
            yield dict(zip(self.decisions, chosen, strict=True))

    def sample(self, generator: random.Random) -> dict[str, Level]:
        """Return one combination of levels, each level equally likely."""
        return {path: generator.choice(levels) for path, levels in self.decisions.items()}

    def check_buildable(self, backbone: Backbone) -> None:
        """Raise ``UserError`` that lists every level, and what of the base stays, that ``backbone`` cannot build."""
        parts: list[tuple[str, SKBlock, int | None]] = [
            ("base", block, None) for block in _kept_of_base(self)
        ]
        for path, levels in self.decisions.items():
            for level in levels:
                place = f"decisions.{path}: level {level}"
                stage, target = target_of(path)
                parts += [(place, block, stage) for block in _smallest_use(target, level)]
        problems = []
        for place, block, stage in parts:
            widths = backbone.widths if stage is None else backbone.widths[stage - 1 : stage]
            try:
                scale_block(block, backbone.cardinality, widths, backbone.name)
            except UserError as error:
                problems.append(f"space {self.name}: {place}: {error}")
        if problems:
            raise UserError("\n".join(problems))


def _kept_of_base(space: Space) -> list[SKBlock]:
    """Return small blocks in which those parts of the base act that no decision replaces on all stages."""
    decided = {path.removeprefix("stages.*.") for path in space.decisions}
    kept = [
        SKBlock(branches=(branch,))
        for number, branch in enumerate(space.base.branches, start=1)
        if not {f"branches.{number}", f"branches.{number}.groups"} & decided
    ]
    if "min_dim" not in decided:
        kept.append(SKBlock(branches=(Branch(kernel=3), Branch(kernel=3)), min_dim=space.base.min_dim))
    return kept


def _smallest_use(target: Target, level: Level) -> list[SKBlock]:
    """Return small blocks in which ``level`` acts: two branches, so that select uses r and L."""
    kind, _ = target
    if kind == "groups":
        return [SKBlock(branches=(Branch(kernel=3, groups=int(level)),))]
    if kind == "branch" and level != NONE:
        return [SKBlock(branches=(parse_branch(str(level)),))]
    if kind == "min_dim":
        return [SKBlock(branches=(Branch(kernel=3), Branch(kernel=3)), min_dim=int(level))]
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
    return SKBlock(branches=chosen, **knobs)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _grouped(branch: Branch, groups: int) -> Branch:
    return replace(branch, groups=groups)


def find_space(source: str) -> Path:
    """Return the file of a space given by name or path; raises ``UserError`` with the nearest name."""
    return find_shipped(source, "search_spaces", what="space", file="space file")


def shipped_spaces() -> dict[str, Path]:
    """Return the spaces known by name: the current folder's ``search_spaces`` before those shipped."""
    return shipped("search_spaces")


def _checked(raw: object, source: str) -> Space:
    """Return the space that the data of a file describe, or raise ``UserError`` with all that is wrong."""
    if not isinstance(raw, dict):
        raise UserError(f"{source}: top level: must be a mapping with {', '.join(KEYS)}")
    problems = list(_key_problems(raw))
    try:
        base = parse_block(raw["base"]) if isinstance(raw.get("base"), str) else None
    except UserError as error:
        base, problems = None, [*problems, ("base", str(error))]
    decisions = raw.get("decisions")
    if isinstance(decisions, dict):
        problems += decision_problems(decisions, len(base.branches) if base else 8)
    decisions = decisions if isinstance(decisions, dict) else {}
    problems += condition_problems(raw.get("conditions", []), decisions)
    problems += constraint_problems(raw.get("constraints", {}))
    if problems or base is None:
        more = [f"{source}: and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
        lines = [f"{source}: {place}: {problem}" for place, problem in problems[:MAX_SHOWN]]
        raise UserError("\n".join(lines + more))
    bands = {name: tuple(band) for name, band in raw.get("constraints", {}).items()}
    space = Space(
        name=raw["name"],
        description=raw.get("description", ""),
        base=base,
        decisions={path: tuple(levels) for path, levels in decisions.items()},
        conditions=tuple(_condition(each) for each in raw.get("conditions", [])),
        band_gflops=bands.get("gflops", FREE),
        band_params_m=bands.get("params_m", FREE),
    )
    _check_never_empty(space, source)
    return space


def _key_problems(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the keys of a file, and with those that hold a text."""
    for key in raw:
        if key not in KEYS:
            near = difflib.get_close_matches(shown(key), [known for known in KEYS if known not in raw], n=1)
            yield shown(key), f"unknown key{f' (did you mean {near[0]}?)' if near else ''}"
    for key in ("name", "base"):
        if key not in raw:
            yield key, "missing"
    for key in ("name", "description", "base"):
        if not isinstance(raw.get(key, ""), str):
            yield key, f"{shown(raw[key])}: must be text"
    if isinstance(raw.get("name"), str) and not NAME.fullmatch(raw["name"]):
        yield "name", f"{shown(raw['name'])!r} must be at most 64 letters, digits, '.', '_' and '-'"
    if not raw.get("decisions"):
        yield "decisions", "none given; a space needs at least one"
    elif not isinstance(raw["decisions"], dict):
        yield "decisions", "must be a mapping of paths to lists of levels"


def _condition(raw: Mapping[str, Any]) -> Condition:
    when = {
        path: tuple(wanted) if isinstance(wanted, list) else (wanted,) for path, wanted in raw["when"].items()
    }
    return Condition(when=when, then=dict(raw["then"]))


def _check_never_empty(space: Space, source: str) -> None:
    """Refuse a space in which every branch can be ``none`` at once."""
    for point in representative_points(space.decisions, space.conditions):
        try:
            space.decode(point)
        except UserError as error:
            raise UserError(
                f"{source}: decisions: with none wherever it is allowed no block is left ({error}); "
                "give one branch no level none"
            ) from None
