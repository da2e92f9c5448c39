"""Search spaces: a base block and decisions that change it, from strict YAML.

A decision is a dotted path and its levels. Paths: ``branches.N`` (a branch in block notation, or ``none``),
``branches.N.groups`` (replaces the groups of that branch), ``reduction``, ``min_dim``, ``fuse``; with
``stages.K.`` before it a decision acts on stage K alone (``stages.*.`` or nothing: on all). Every decision is
always asked; what does not act is removed by the canonical form, so that a sampler sees one constant space.
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
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import skexplore
from skexplore.backbone import REFERENCE, Backbone, canonical_at_reference
from skexplore.block import Blocks, Branch, SKBlock, parse_block, parse_branch, scale_block
from skexplore.errors import UserError
from skexplore.files import parse, read_yaml

Level = str | int
_Target = tuple[str, int]  # what a decision sets: "branch" or "groups" of a number, or a knob's name and 0
NONE = "none"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PATH = re.compile(
    r"(?:stages\.(?P<stage>\*|[1-9])\.)?(?:branches\.(?P<branch>[1-8])(?P<groups>\.groups)?|(?P<knob>reduction|min_dim|fuse))"
)
_PATHS = "branches.N, branches.N.groups, reduction, min_dim or fuse, each also as stages.K.… or stages.*.…"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpaceFile:
    name: str
    description: str = ""
    base: str
    decisions: dict[str, list[Any]] = field(default_factory=dict)  # _level_problem checks each level


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A base block and named decisions with their levels, in order."""

    name: str
    description: str
    base: SKBlock
    decisions: Mapping[str, tuple[Level, ...]]

    @staticmethod
    def load(source: str | Path) -> Space:
        """Return the space called ``source`` or written in the file ``source``; raises ``UserError``.

        A name is looked up in ``search_spaces/`` of the current folder, then among those shipped.
        """
        path = find_space(str(source))
        raw = parse(_SpaceFile, read_yaml(path), str(path))
        return _checked(raw, str(path))

    @property
    def raw_size(self) -> int:
        """Number of combinations of levels, equivalent ones counted each."""
        return math.prod(len(levels) for levels in self.decisions.values())

    @property
    def hash(self) -> str:
        """Identity of the space: its base and decisions, whatever it is called."""
        data = [str(self.base), {path: list(levels) for path, levels in self.decisions.items()}]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:12]

    def decode(self, levels: Mapping[str, Level]) -> Blocks:
        """Return the canonical blocks that the chosen ``levels`` (one per decision) mean.

        A decision of one stage goes before the same decision of all stages.
        """
        tied: dict[_Target, Level] = {}
        freed: dict[int, dict[_Target, Level]] = {}
        for path, level in levels.items():
            stage, target = _target(path)
            (tied if stage is None else freed.setdefault(stage, {}))[target] = level
        if not freed:
            return canonical_at_reference((_changed(self.base, tied),))
        stages = range(1, len(REFERENCE.stages) + 1)
        return canonical_at_reference(
            tuple(_changed(self.base, tied | freed.get(stage, {})) for stage in stages)
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
                stage, target = _target(path)
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


def _smallest_use(target: _Target, level: Level) -> list[SKBlock]:
    """Return small blocks in which ``level`` acts: two branches, so that select uses r and L."""
    kind, _ = target
    if kind == "groups":
        return [SKBlock(branches=(Branch(kernel=3, groups=int(level)),))]
    if kind == "branch" and level != NONE:
        return [SKBlock(branches=(parse_branch(str(level)),))]
    if kind == "min_dim":
        return [SKBlock(branches=(Branch(kernel=3), Branch(kernel=3)), min_dim=int(level))]
    return []


@lru_cache(maxsize=1024)  # asked for every decision of every point of a space
def _target(path: str) -> tuple[int | None, _Target]:
    """Return the stage of a decision (None: all of them) and what it sets there."""
    match = _PATH.fullmatch(path)
    assert match is not None  # paths are checked when a space is loaded
    stage = None if match["stage"] in (None, "*") else int(match["stage"])
    if match["knob"]:
        return stage, (match["knob"], 0)
    return stage, ("groups" if match["groups"] else "branch", int(match["branch"]))


def _changed(base: SKBlock, settings: Mapping[_Target, Level]) -> SKBlock:
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
    if source.endswith((".yaml", ".yml")) or "/" in source:
        path = Path(source)
        if not path.is_file():
            raise UserError(f"space file {source}: {'not a file' if path.exists() else 'not found'}")
        return path
    known = shipped_spaces()
    if source not in known:
        near = difflib.get_close_matches(source, known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(
            f"unknown space {source!r}{hint}; known: {', '.join(known)}, or a path to a .yaml file"
        )
    return known[source]


def shipped_spaces() -> dict[str, Path]:
    """Return the spaces known by name: the current folder's ``search_spaces`` before those shipped."""
    package = Path(skexplore.__file__).parent
    # installed as a wheel the folder is inside the package, in a source checkout beside it
    folders = [package.parent / "search_spaces", package / "search_spaces", Path("search_spaces")]
    found = {
        path.stem: path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.yaml"))
    }
    return dict(sorted(found.items()))


def _checked(raw: _SpaceFile, source: str) -> Space:
    problems = []
    try:
        base = parse_block(raw.base)
    except UserError as error:
        problems.append(f"{source}: base: {error}")
        base = SKBlock(branches=(Branch(kernel=3),))
    if not NAME.fullmatch(raw.name):
        problems.append(f"{source}: name: {raw.name!r} must be letters, digits, '.', '_' and '-'")
    if not raw.decisions:
        problems.append(f"{source}: decisions: none given; a space needs at least one")
    for path, levels in raw.decisions.items():
        problems.extend(f"{source}: decisions.{path}: {problem}" for problem in _level_problems(path, levels))
        if path.endswith(".groups") and not _gives_branch(raw, base, path):
            problems.append(f"{source}: decisions.{path}: neither base nor a decision gives that branch")
        if any("g" in str(level) for level in levels) and f"{path}.groups" in raw.decisions:
            problems.append(
                f"{source}: decisions.{path}: gives groups that {path}.groups would replace; use one"
            )
    if problems:
        raise UserError("\n".join(problems))
    decisions = {path: tuple(levels) for path, levels in raw.decisions.items()}
    space = Space(name=raw.name, description=raw.description, base=base, decisions=decisions)
    _check_never_empty(space, source)
    return space


def _gives_branch(raw: _SpaceFile, base: SKBlock, path: str) -> bool:
    match = _PATH.fullmatch(path)
    if match is None:
        return True  # said elsewhere
    _, target = _target(path)
    decided = {_target(other)[1] for other in raw.decisions if _PATH.fullmatch(other)}
    return target[1] <= len(base.branches) or ("branch", target[1]) in decided


def _level_problems(path: str, levels: list[Level]) -> Iterator[str]:
    match = _PATH.fullmatch(path)
    if match is None:
        yield f"unknown decision; expected {_PATHS}"
        return
    if match["stage"] not in (None, "*") and int(match["stage"]) > len(REFERENCE.stages):
        yield f"stage {match['stage']}: the reference has {len(REFERENCE.stages)} stages"
    if not levels:
        yield "no levels"
    if len(set(map(str, levels))) != len(levels):
        yield "a level is given twice"
    for level in levels:
        problem = _level_problem(match, level)
        if problem:
            yield f"level {level!r}: {problem}"


def _level_problem(match: re.Match[str], level: Level) -> str | None:
    if match["groups"] or match["knob"] in ("reduction", "min_dim"):
        whole = isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= 9999
        return None if whole else "must be a whole number from 1 to 9999"
    if match["knob"] == "fuse":
        return None if level in ("select", "sum") else "must be select or sum"
    if level == NONE:
        return None
    try:
        parse_branch(str(level))
    except UserError as error:
        return str(error)
    return None


def _check_never_empty(space: Space, source: str) -> None:
    """Refuse a space in which every branch can be ``none`` at once."""
    lowest = {path: NONE if NONE in levels else levels[0] for path, levels in space.decisions.items()}
    try:
        space.decode(lowest)
    except UserError as error:
        raise UserError(
            f"{source}: decisions: with none wherever it is allowed no block is left ({error}); "
            "give one branch no level none"
        ) from None
