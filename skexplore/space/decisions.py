"""Decisions of a search space: their paths and levels, the conditions between them, and bands of cost.

Everything here that checks yields problems as (dotted path, text), so that a file's errors come all at once.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from skexplore.arch import BACKBONES, Backbone, get_reference, parse_branch
from skexplore.errors import UserError
from skexplore.files import Problem, quoted, shown

Level = str | int
Target = tuple[str, int]  # what a decision sets: "branch" or "groups" of a number, or a knob's name and 0
NONE = "none"
MAX_CONDITIONED = 20_000  # combinations of the decisions that conditions name; each is looked at by itself
_PATH = re.compile(
    r"(?:stages\.(?P<stage>\*|[1-9])\.)?(?:branches\.(?P<branch>[1-8])(?P<groups>\.groups)?|(?P<knob>reduction|min_dim|fuse))"
)
MOST_BODIES = 64
BODY = ("backbone", "depths", "width")  # decisions of what is around the blocks
_PATHS = (
    "branches.N, branches.N.groups, reduction, min_dim or fuse, each also as stages.K.… or stages.*.…; or backbone, "
    "depths or width"
)


@lru_cache(maxsize=1024)  # asked for every decision of every point of a space
def target_of(path: str) -> tuple[int | None, Target]:
    """Return the stage of a decision (None: all of them) and what it sets there; one of the body sets itself."""
    if path in BODY:
        return None, (path, 0)
    match = _PATH.fullmatch(path)
    assert match is not None  # paths are checked when a space is loaded
    stage = None if match["stage"] in (None, "*") else int(match["stage"])
    if match["knob"]:
        return stage, (match["knob"], 0)
    return stage, ("groups" if match["groups"] else "branch", int(match["branch"]))


def is_path(path: object) -> bool:
    """Whether ``path`` is the dotted path of a decision of the blocks."""
    return isinstance(path, str) and _PATH.fullmatch(path) is not None


def body_name(reference: str, levels: Mapping[str, Level]) -> str:
    """Return the name of the body that ``levels`` choose in the place of ``reference``: ``NAME:DEPTHS:xWIDTH@HxW``."""
    own, at, size = reference.partition("@")
    parts = [str(levels.get("backbone", own)), *(str(levels[path]) for path in BODY[1:] if path in levels)]
    return f"{':'.join(parts)}{at}{size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Where every decision of ``when`` has one of its levels, those of ``then`` count as having that level."""

    when: dict[str, tuple[Level, ...]]
    then: dict[str, Level]

    def holds(self, levels: Mapping[str, Level]) -> bool:
        """Whether the condition acts on a point."""
        return all(levels[path] in wanted for path, wanted in self.when.items())


def resolved(conditions: Iterable[Condition], levels: Mapping[str, Level]) -> Mapping[str, Level]:
    """Return ``levels`` after ``conditions``, in order: a later one sees what an earlier one has set."""
    for condition in conditions:
        if condition.holds(levels):
            levels = {**levels, **condition.then}
    return levels


def named_in(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the decisions that ``conditions`` name."""
    return frozenset(path for condition in conditions for path in (*condition.when, *condition.then))


# -- what is wrong with a file


def decision_problems(
    decisions: Mapping[Any, Any], base_branches: int, stages: int, *, where: str = "decisions"
) -> Iterator[Problem]:
    """Yield what is wrong with the decisions that stand at ``where`` in a file.

    base_branches: how many branches its base gives; stages: how many the reference has.
    """
    known = {path: target_of(path) for path in decisions if is_path(path)}
    given = {number for _, (kind, number) in known.values() if kind == "branch"}
    first: dict[tuple[int | None, Target], str] = {}
    for path, levels in decisions.items():
        place = f"{where}.{shown(path)}"
        if path in BODY:
            yield from ((place, problem) for problem in _list_problems(levels))
            continue
        if path not in known:
            yield place, f"unknown decision; expected {_PATHS}"
            continue
        yield from ((place, problem) for problem in _levels_problems(path, levels, stages))
        (stage, (kind, number)), other = known[path], first.setdefault(known[path], path)
        if other != path:
            yield place, f"is the same decision as {other}; give it once"
        if kind == "groups" and number > base_branches and number not in given:
            yield place, "neither base nor a decision gives that branch"
        rivals = [rival for rival, where in known.items() if where[1] == ("groups", number)]
        writes_groups = isinstance(levels, list) and any("g" in str(each) for each in map(shown, levels))
        if kind == "branch" and writes_groups:
            meet = [r for r in rivals if known[r][0] is None or stage is None or known[r][0] == stage]
            if meet:
                yield place, f"gives groups that {meet[0]} would replace; use one"


def _levels_problems(path: str, levels: object, stages: int) -> Iterator[str]:
    match = _PATH.fullmatch(path)
    assert match is not None
    if match["stage"] not in (None, "*") and int(match["stage"]) > stages:
        yield f"stage {match['stage']}: the reference has {stages} stages"
    yield from _list_problems(levels)
    for level in levels if isinstance(levels, list) else ():
        problem = _level_problem(match, level)
        if problem:
            yield f"level {quoted(level)}: {problem}"


def _list_problems(levels: object) -> Iterator[str]:
    if not isinstance(levels, list):
        yield f"{shown(levels)}: must be a list of levels in [ ]"
    elif not levels:
        yield "no levels"
    elif len(set(map(shown, levels))) != len(levels):
        yield "a level is given twice"


def body_problems(
    reference: Backbone, decisions: Mapping[Any, Any], file: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the bodies that the decisions of ``file`` make of ``reference``.

    All must be networks of one kind, and blocks be written so that they mean something in each of them.
    """
    given = {path: decisions[path] for path in BODY if path in decisions}
    if not given or any(problem for levels in given.values() for problem in _list_problems(levels)):
        return
    if ":" in reference.name:
        yield (
            "reference",
            f"{reference.name}: varied already; write its base, and its depths and width as levels",
        )
        return
    count = math.prod(len(levels) for levels in given.values())
    if count > MOST_BODIES:
        yield f"decisions.{'+'.join(given)}", f"{count} bodies; at most {MOST_BODIES}"
        return
    wrong = [
        (f"decisions.{path}", f"level {quoted(level)}: {problem}")
        for path, levels in given.items()
        for level in levels
        if (problem := _body_problem(path, level))
    ]
    yield from wrong
    if not wrong:
        yield from _bodies_problems(reference, decisions, given)
    texts = {"base": [file.get("base")]} | {f"decisions.{path}": levels for path, levels in decisions.items()}
    for place, levels in texts.items():
        absolute = [level for level in levels if "=" in str(level)] if isinstance(levels, list) else []
        if absolute:
            yield (
                place,
                f"{quoted(absolute[0])}: g= and L= mean one network; where bodies are chosen write g and L",
            )


def _body_problem(path: str, level: object) -> str | None:
    """Return what is wrong with the form of one level of a decision of the body."""
    if path == "backbone":
        return (
            None
            if isinstance(level, str) and level in BACKBONES
            else f"must be one of {', '.join(BACKBONES)}; depths and width vary it"
        )
    if path == "depths":
        said = isinstance(level, str) and re.fullmatch(r"[0-9]+(-[0-9]+)+", level)
        return None if said else "must be the units of each stage, such as 2-2-2-2"
    return None if isinstance(level, str) and re.fullmatch(r"x[0-9.]+", level) else "must be such as x0.5"


def _bodies_problems(
    reference: Backbone, decisions: Mapping[Any, Any], given: Mapping[str, Sequence[Level]]
) -> Iterator[Problem]:
    place = f"decisions.{'+'.join(given)}"
    stages = [path for path in decisions if is_path(path) and target_of(path)[0] is not None]
    for levels in itertools.product(*given.values()):
        name = body_name(reference.name, dict(zip(given, levels, strict=True)))
        try:
            body = get_reference(name)
        except UserError as error:
            yield place, f"{name}: {str(error).splitlines()[0]}"
            continue
        if _kind(body) != _kind(reference):
            yield (
                place,
                f"{name}: units of another kind than those of {reference.name}: one proxy cannot stand for both",
            )
        if stages and len(body.stages) != len(reference.stages):
            yield (
                f"decisions.{stages[0]}",
                f"{name} has {len(body.stages)} stages, and {reference.name} {len(reference.stages)}",
            )


def _kind(body: Backbone) -> tuple[object, ...]:
    return body.unit.kind, body.unit.split_input, body.cardinality == 1


def _level_problem(match: re.Match[str], level: object) -> str | None:
    if match["groups"] or match["knob"] in ("reduction", "min_dim"):
        whole = isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= 9999
        return None if whole else "must be a whole number from 1 to 9999"
    if match["knob"] == "fuse":
        return None if level in ("select", "sum") else "must be select or sum"
    if not isinstance(level, str):
        return "must be a branch such as k3 or k3d2, or none"
    if level == NONE:
        return None
    try:
        parse_branch(level)
    except UserError as error:
        return str(error)
    return None


def condition_problems(
    conditions: Iterable[Mapping[str, Any] | None], decisions: Mapping[Any, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the conditions of a file: names and levels must be declared decisions' own."""
    named: set[str] = set()
    for number, condition in enumerate(conditions, start=1):
        clauses = {key: (condition or {}).get(key) or {} for key in ("when", "then")}
        for key, clause in clauses.items():
            named |= {path for path in clause if path in decisions}
            yield from _clause_problems(
                f"conditions.{number}.{key}", clause, decisions, several=key == "when"
            )
        for path in (each for each in BODY if each in clauses["then"]):
            yield f"conditions.{number}.then.{path}", "a condition cannot change the body; name it in when"
        for path in sorted(set(map(shown, clauses["when"])) & set(clauses["then"])):
            yield (
                f"conditions.{number}.then.{path}",
                "is what when asks for; a condition cannot change its own reason",
            )
    size = math.prod(len(decisions[path]) for path in named if isinstance(decisions[path], list))
    if size > MAX_CONDITIONED:
        yield (
            "conditions",
            f"the decisions that they name have {size:,} combinations; at most {MAX_CONDITIONED:,} are "
            "allowed: name fewer decisions, or give them fewer levels",
        )


def _clause_problems(
    place: str, clause: Mapping[Any, Any], decisions: Mapping[Any, Any], *, several: bool
) -> Iterator[Problem]:
    for path, wanted in clause.items():
        at = f"{place}.{shown(path)}"
        if path not in decisions:
            yield at, f"no such decision; decisions: {', '.join(map(shown, decisions))}"
            continue
        declared = decisions[path] if isinstance(decisions[path], list) else []
        levels = wanted if several and isinstance(wanted, list) else [wanted]
        if not levels:
            yield at, "no levels"
        # with their types: true is no second 1
        times = Counter((type(level), level) for level in levels if isinstance(level, str | int))
        yield from (
            (at, f"level {quoted(level)}: given {count} times; once is enough")
            for (_, level), count in times.items()
            if count > 1
        )
        for level in levels:
            if not any(level == known and type(level) is type(known) for known in declared):
                yield (
                    at,
                    f"level {quoted(level)}: not a level of that decision ({', '.join(map(shown, declared))})",
                )


def representative_points(
    decisions: Mapping[str, tuple[Level, ...]], conditions: tuple[Condition, ...]
) -> Iterator[dict[str, Level]]:
    """Yield points among which is one with no block left, if the space has such a point.

    Decisions without a condition are ``none`` where they can be. Of the others, levels that are alike to
    every condition (and are both ``none`` or both not) stand for each other.
    """
    named = named_in(conditions)
    choices = []
    for path, levels in decisions.items():
        if path not in named:
            choices.append((NONE if NONE in levels else levels[0],))
            continue
        kinds = {
            (level == NONE, *(level in c.when.get(path, ()) for c in conditions)): level for level in levels
        }
        choices.append(tuple(kinds.values()))  # type: ignore[arg-type]
    for chosen in itertools.product(*choices):
        yield dict(zip(decisions, chosen, strict=True))
