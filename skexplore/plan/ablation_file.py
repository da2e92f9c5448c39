"""Definitions of ablations: strict YAML, and everything that is wrong with a file at once, with its path.

A file names its variants in up to three ways: ``rows`` (one by one), ``one_at_a_time`` (each level of each factor, all
else as in the baseline) and ``leave_one_out`` (components taken away from the baseline, alone and ``together``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from skexplore.arch import cifar_backbone, parse_blocks, parse_gate
from skexplore.errors import UserError
from skexplore.files import read_yaml
from skexplore.paper import SYSTEMS, get_system, printed_rows
from skexplore.shipped import find_shipped, shipped
from skexplore.space import NAME, Level, Problem, decision_problems, is_path, shown
from skexplore.study import COLUMNS_OF_ERRORS, DATASETS, PROFILES, SCHEDULES, Recipe, Split, get_profile

KEYS = (
    "name", "description", "table", "column", "profile", "backbone", "recipe", "split", "seeds", "baseline",
    "rows", "one_at_a_time", "leave_one_out", "together",
)  # fmt: skip
ROW_KEYS = ("name", "block", "system", "backbone", "gate", "fuse_norm")
SETTINGS = ("backbone", "gate", "fuse_norm")  # factors beside the decisions of a space
MAX_SEEDS = 1000
BEST = "best:"
_FACTORS = "branches.N, branches.N.groups, reduction, min_dim, fuse, backbone, gate or fuse_norm"

Change = Mapping[str, Level | bool]  # factors and the level each is set to


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A variant that is named: a block or a system, with what surrounds it."""

    name: str
    block: str = ""
    system: str = ""
    backbone: str = ""
    gate: str = ""
    fuse_norm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A checked study file. recipe, split: what differs from the profile. baseline: a row's name, or a network."""

    name: str
    description: str = ""
    table: str = ""
    column: str = COLUMNS_OF_ERRORS[0]
    profile: str = ""
    backbone: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    baseline: str
    rows: tuple[Row, ...] = ()
    one_at_a_time: Mapping[str, tuple[Level | bool, ...]] = field(default_factory=dict)
    leave_one_out: Mapping[str, Change] = field(default_factory=dict)
    together: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def shipped_studies() -> dict[str, Path]:
    """Return the definitions known by name: the current folder's ``studies`` before those shipped."""
    return shipped("studies")


def load_definition(source: str) -> Definition:
    """Return the definition called or in the file ``source``; raises ``UserError`` with all that is wrong."""
    path = find_shipped(source, "studies", what="ablation", file="study file")
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: top level: must be a mapping with {', '.join(KEYS)}")
    problems = list(_problems(raw))
    if problems:
        raise UserError("\n".join(f"{path}: {place}: {problem}" for place, problem in problems[:50]))
    plain = {key: value for key, value in raw.items() if key not in ("rows", "one_at_a_time", "together")}
    if "recipe" in raw:  # 1 and 1.0 are one recipe
        plain["recipe"] = {name: _kinds(Recipe)[name](value) for name, value in raw["recipe"].items()}
    return Definition(
        **plain,
        rows=tuple(_row(each) for each in raw.get("rows", ())),
        one_at_a_time={name: tuple(levels) for name, levels in raw.get("one_at_a_time", {}).items()},
        together={name: tuple(parts) for name, parts in raw.get("together", {}).items()},
    )


def _row(raw: Mapping[str, Any]) -> Row:
    return Row(**{key: value for key, value in raw.items() if key != "name"}, name=_row_name(raw))


# -- what is wrong with a file


def _problems(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    for key in raw:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            yield (
                shown(key),
                f"unknown key{f' (did you mean {near[0]}?)' if near else ''}; keys: {', '.join(KEYS)}",
            )
    name = raw.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield "name", f"{shown(name)}: must be letters, digits, '.', '_' or '-'"
    if not isinstance(raw.get("description", ""), str):
        yield "description", "must be a text"
    yield from _scale_problems(raw)
    yield from _table_problems(raw)
    seeds = raw.get("seeds", 1)
    if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= MAX_SEEDS:
        yield "seeds", f"{shown(seeds)}: must be a whole number from 1 to {MAX_SEEDS}"
    if not any(raw.get(kind) for kind in ("rows", "one_at_a_time", "leave_one_out")):
        yield "top level", "no variants: give rows, one_at_a_time or leave_one_out"
    yield from _row_problems(raw.get("rows", []))
    yield from _baseline_problems(raw)
    yield from _factor_problems(raw.get("one_at_a_time", {}))
    yield from _component_problems(raw.get("leave_one_out", {}), raw.get("together", {}))


def _scale_problems(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong with profile, backbone, recipe and split."""
    profile = raw.get("profile", "quick")
    if not isinstance(profile, str) or profile not in PROFILES:
        yield "profile", f"{shown(profile)}: must be one of {', '.join(PROFILES)}"
    yield from _named(raw, "backbone", cifar_backbone)
    for key, kind in (("recipe", Recipe), ("split", Split)):
        given, allowed = raw.get(key, {}), _kinds(kind)
        if not isinstance(given, dict):
            yield key, "must be a mapping"
            continue
        for name, value in given.items():
            place = f"{key}.{shown(name)}"
            if name not in allowed:
                yield place, f"unknown key; keys: {', '.join(allowed)}"
            elif not (type(value) is allowed[name] or (allowed[name] is float and type(value) is int)):
                yield place, f"{shown(value)}: must be a {allowed[name].__name__}"
            elif problem := _value_problem(name, value):
                yield place, f"{shown(value)}: must be {problem}"
    recipe = raw.get("recipe")
    usual = PROFILES[profile].recipe.nesterov if shown(profile) in PROFILES else True
    if isinstance(recipe, dict) and recipe.get("momentum") == 0 and recipe.get("nesterov", usual):
        yield "recipe.momentum", "0: Nesterov's needs a momentum; set nesterov: false"


def _kinds(kind: type) -> dict[str, type]:
    """Return the fields of a recipe or a split that a file may set, with their types."""
    example = getattr(get_profile("quick"), kind.__name__.lower())
    found = {each.name: type(getattr(example, each.name)) for each in fields(kind)}
    found.pop("classes", None)  # the data set says them
    return found


_LIMITS = {
    "epochs": 10_000,
    "batch_size": 10_000,
    "train_images": max(known.most_train for known in DATASETS.values()),
    "val_images": max(known.most_val for known in DATASETS.values()),
}
_CHOICES = {"schedule": SCHEDULES, "dataset": tuple(DATASETS)}
_MOST = 1_000  # of rates and decays: far beyond what trains
_SHARES = ("momentum", "warmup", "label_smoothing")


def _value_problem(name: str, value: Any) -> str:
    """Return what a value of the right type must be, empty if it is that."""
    if name in _CHOICES:
        return "" if value in _CHOICES[name] else f"one of {', '.join(_CHOICES[name])}"
    if name in _LIMITS:
        least = 2 if name in ("batch_size", "train_images") else 1  # batch normalisation needs two
        return "" if least <= value <= _LIMITS[name] else f"from {least} to {_LIMITS[name]:,}"
    if name in _SHARES:
        return "" if 0 <= value < 1 else "at least 0 and below 1"
    if isinstance(value, bool) or (0 <= value <= _MOST and (value or name != "lr")):
        return ""
    return f"a number above 0 and up to {_MOST:,}" if name == "lr" else f"a number from 0 to {_MOST:,}"


def _table_problems(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    tables = dict.fromkeys(row.table for row in printed_rows())
    if shown(raw.get("table", "")) not in ("", *tables) or not isinstance(raw.get("table", ""), str):
        yield "table", f"{shown(raw['table'])}: must be one of the texts {', '.join(tables)}"
    if shown(raw.get("column", COLUMNS_OF_ERRORS[0])) not in COLUMNS_OF_ERRORS:
        yield "column", f"{shown(raw['column'])}: must be one of {', '.join(COLUMNS_OF_ERRORS)}"


def _named(raw: Mapping[Any, Any], key: str, read: Any, place: str = "") -> Iterator[Problem]:
    """Yield why ``read`` refuses the text at ``key``, if it is given."""
    if key not in raw:
        return
    value = raw[key]
    if not isinstance(value, str):
        yield place + key, f"{shown(value)}: must be a text"
        return
    try:
        read(value)
    except UserError as error:
        yield place + key, str(error).splitlines()[0]


def _row_problems(rows: object) -> Iterator[Problem]:
    if not isinstance(rows, list):
        yield "rows", "must be a list of {name: ..., block: ...} or {system: ...}"
        return
    names: set[str] = set()
    for number, row in enumerate(rows, start=1):
        place = f"rows.{number}"
        if not isinstance(row, dict):
            yield place, "must be a mapping such as {name: K3, block: k3} or {system: resnext50}"
            continue
        for key in row:
            if key not in ROW_KEYS:
                yield f"{place}.{shown(key)}", f"unknown key; keys: {', '.join(ROW_KEYS)}"
        if ("block" in row) == ("system" in row):
            yield place, "give either block or system"
        if "system" in row and "gate" in row:
            yield f"{place}.gate", "the system says its gate"
        for key, read in (
            ("block", parse_blocks),
            ("system", get_system),
            ("backbone", cifar_backbone),
            ("gate", parse_gate),
        ):
            yield from _named(row, key, read, f"{place}.")
        if not isinstance(row.get("fuse_norm", True), bool):
            yield f"{place}.fuse_norm", f"{shown(row['fuse_norm'])}: must be true or false"
        given = row.get("name", "given")
        name = _row_name(row)
        if not isinstance(given, str) or not name.isprintable() or not 1 <= len(name) <= 80:
            yield f"{place}.name", f"{shown(row.get('name'))}: must be a text of 1 to 80 characters"
        elif name in names:
            yield f"{place}.name", f"{name}: another row has that name"
        names.add(name)


def _baseline_problems(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    text, rows = raw.get("baseline"), raw.get("rows", [])
    names = [_row_name(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if not isinstance(text, str):
        yield "baseline", "missing: give a row's name, a block, a system's name or best:STUDY"
        return
    if text in names or text in SYSTEMS or text.startswith(BEST):
        return
    try:
        parse_blocks(text)
    except UserError:
        known = f"a row ({', '.join(map(shown, names))}), " if names else ""
        yield (
            "baseline",
            f"{shown(text)}: must be {known}a block such as k3+k3d2, a system's name or best:STUDY",
        )


def _row_name(row: Mapping[str, Any]) -> str:
    system = row.get("system")
    title = SYSTEMS[system].title if isinstance(system, str) and system in SYSTEMS else ""
    return str(row.get("name") or title or row.get("block"))


def _factor_problems(factors: object) -> Iterator[Problem]:
    if not isinstance(factors, dict):
        yield "one_at_a_time", "must be a mapping of factors to lists of levels"
        return
    decided = {path: levels for path, levels in factors.items() if is_path(path)}
    for place, problem in decision_problems(decided, 8):
        yield place.replace("decisions.", "one_at_a_time.", 1), problem
    for factor, levels in factors.items():
        if factor in decided:
            continue
        place = f"one_at_a_time.{shown(factor)}"
        if factor not in SETTINGS:
            yield place, f"unknown factor; expected {_FACTORS}"
        elif not isinstance(levels, list) or not levels:
            yield place, "must be a list of levels in [ ]"
        else:
            yield from ((place, p) for level in levels for p in _setting_problems(factor, level))


def _setting_problems(factor: str, level: object) -> Iterator[str]:
    if factor == "fuse_norm":
        if not isinstance(level, bool):
            yield f"level {shown(level)}: must be true or false"
        return
    yield from (
        text for _, text in _named({"": level}, "", cifar_backbone if factor == "backbone" else parse_gate)
    )


def _component_problems(components: object, together: object) -> Iterator[Problem]:
    if not isinstance(components, dict):
        yield "leave_one_out", "must be a mapping of components to what takes them away"
        return
    for name, change in components.items():
        place = f"leave_one_out.{shown(name)}"
        if not isinstance(name, str) or not isinstance(change, dict) or not change:
            yield place, "must be a mapping such as {fuse: sum}"
            continue
        for where, problem in _factor_problems({factor: [level] for factor, level in change.items()}):
            yield where.replace("one_at_a_time", place, 1), problem
    if not isinstance(together, dict):
        yield "together", "must be a mapping of names to lists of components"
        return
    for name, parts in together.items():
        place = f"together.{shown(name)}"
        if not isinstance(parts, list) or len(parts) < 2:
            yield place, "must be a list of two components or more"
            continue
        if name in components:
            yield place, "a component has that name; give the group another"
        for part in parts:
            if not isinstance(part, str) or part not in components:
                yield (
                    place,
                    f"{shown(part)}: no such component; components: {', '.join(map(shown, components))}",
                )
