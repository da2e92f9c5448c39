"""Definitions of ablations: strict YAML, and everything that is wrong with a file at once, with its path.

A file names its variants in up to three ways: ``rows`` (one by one), ``one_at_a_time`` (each level of each factor, all
else as in the baseline) and ``leave_one_out`` (components taken away from the baseline, alone and ``together``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from skexplore.arch import cifar_backbone, get_reference, parse_gate
from skexplore.data import DATASETS, is_own
from skexplore.errors import UserError
from skexplore.files import Must, Problem, among, define, read_by, read_yaml, shown
from skexplore.paper import SYSTEMS, get_system, named_blocks, printed_rows
from skexplore.plan.search import MAX_SEEDS
from skexplore.shipped import find_shipped
from skexplore.space import NAME, Level, decision_problems, is_path
from skexplore.study import COLUMNS_OF_ERRORS, OPTIMIZERS, PROFILES, RECIPES, SCHEDULES
from skexplore.words import counted

BEST = "best:"
DEFAULT_PROFILE = "quick"  # of a file that names none: ablations are defined for two cores
_FACTORS = "branches.N, branches.N.groups, reduction, min_dim, fuse, backbone, gate or fuse_norm"

Change = Mapping[str, Level | bool]  # factors and the level each is set to


def _whole(least: int, most: int) -> Must:
    return Must(f"a whole number from {least} to {most:,}", ge=least, le=most)


_TABLES = dict.fromkeys(row.table for row in printed_rows())
_FLAG = Must("true or false")
_DATASET = Must(
    lambda: f"one of {', '.join(DATASETS)}, or a folder of your own images",
    lambda text: text in DATASETS or is_own(text),
)
_SHARE = Must("a number of at least 0 and below 1", ge=0, lt=1)
# up to far beyond what trains
_RATE = Must("a number above 0 and up to 1,000", gt=0, le=1_000)
_DECAY = Must("a number from 0 to 1,000", ge=0, le=1_000)
_RISING = Must("a list of rising epochs such as [1, 3]", lambda given: [*given] == sorted({*given}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChanges:
    """What differs from the recipe of a profile, or from the one that it has ``of`` a name; None is as there."""

    of: Annotated[str | None, among(RECIPES)] = None
    epochs: Annotated[int | None, _whole(1, 10_000)] = None
    batch_size: Annotated[int | None, _whole(2, 10_000)] = None  # batch normalisation needs two
    lr: Annotated[float | None, _RATE] = None
    schedule: Annotated[str | None, among(SCHEDULES)] = None
    momentum: Annotated[float | None, _SHARE] = None
    nesterov: Annotated[bool | None, _FLAG] = None
    weight_decay: Annotated[float | None, _DECAY] = None
    warmup: Annotated[float | None, _SHARE] = None
    label_smoothing: Annotated[float | None, _SHARE] = None
    augment: Annotated[bool | None, _FLAG] = None
    crop: Annotated[bool | None, _FLAG] = None
    optimizer: Annotated[str | None, among(OPTIMIZERS)] = None
    sgd_lr: Annotated[float | None, _RATE] = None
    whiten: Annotated[bool | None, _FLAG] = None
    cycles: Annotated[tuple[Annotated[int, _whole(1, 10_000)], ...] | None, _RISING] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitChanges:
    """What differs from the split of a profile; None is as there."""

    dataset: Annotated[str | None, _DATASET] = None
    train_images: Annotated[int | None, _whole(2, 100_000_000)] = None
    val_images: Annotated[int | None, _whole(1, 100_000_000)] = None


def given(changes: RecipeChanges | SplitChanges) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in asdict(changes).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A variant that is named: a block or a system, with what surrounds it."""

    name: Annotated[
        str, Must("a text of 1 to 80 characters", lambda text: text.isprintable() and len(text) <= 80)
    ] = ""
    block: Annotated[str, read_by(named_blocks)] = ""
    system: Annotated[str, read_by(get_system)] = ""
    backbone: Annotated[str, read_by(cifar_backbone)] = ""
    gate: Annotated[str, read_by(parse_gate)] = ""
    fuse_norm: Annotated[bool, _FLAG] = True


_NAMES = Must("a list of names of variants", min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastOf:
    """A contrast as a file gives it: variants ``of`` one kind ``against`` those of another, by their names."""

    of: Annotated[list[str], _NAMES]
    against: Annotated[list[str], _NAMES]


_ROW = Must("a mapping such as {name: K3, block: k3} or {system: resnext50}")
_CHANGE = Must("a mapping such as {fuse: sum}", min_length=1)
_GROUP = Must("a list of two components or more", min_length=2)
_ORDERED = Must("a list of three variants or more", min_length=3)
_CONTRAST = Must("a mapping such as {of: [SK], against: [K3]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A study file. recipe, split: what differs from the profile. baseline: a row's name, or a network.

    reference: the backbone for which blocks are written, empty for SKNet-50.
    """

    name: Annotated[str, Must("at most 64 letters, digits, '.', '_' and '-'", NAME.fullmatch)]
    description: str = ""
    table: Annotated[str, among(["", *_TABLES], what="one of the texts")] = ""
    column: Annotated[str, among(COLUMNS_OF_ERRORS)] = COLUMNS_OF_ERRORS[0]
    reference: Annotated[str, read_by(get_reference)] = ""
    profile: Annotated[str, among(PROFILES)] = ""
    backbone: Annotated[str, read_by(cifar_backbone)] = ""
    recipe: RecipeChanges = RecipeChanges()
    split: SplitChanges = SplitChanges()
    seeds: Annotated[int, _whole(1, MAX_SEEDS)] = 3
    baseline: str = ""
    rows: tuple[Annotated[Row, _ROW], ...] = ()
    one_at_a_time: Mapping[Any, Any] = field(default_factory=dict)
    leave_one_out: Mapping[str, Annotated[Mapping[Any, Any], _CHANGE]] = field(default_factory=dict)
    together: Mapping[str, Annotated[list[Any], _GROUP]] = field(default_factory=dict)
    contrasts: Mapping[str, Annotated[ContrastOf, _CONTRAST]] = field(default_factory=dict)
    groups: Mapping[str, Annotated[list[str], _ORDERED]] = field(default_factory=dict)


def load_definition(source: str, reference: str | None = None) -> Definition:
    """Return the definition called or in the file ``source``; raises ``UserError`` with all that is wrong.

    reference: the name of another than the file's.
    """
    path = find_shipped(source, "studies", what="ablation", file="study file")
    data = read_yaml(path)
    if reference is not None and isinstance(data, dict):
        data = {**data, "reference": get_reference(reference).name}
    file = define(Definition, data, str(path), _problems)
    file = replace(file, split=_beside(file.split, path.parent))
    return replace(file, rows=tuple(replace(row, name=_row_name(asdict(row))) for row in file.rows))


def _beside(split: SplitChanges, folder: Path) -> SplitChanges:
    """Return ``split`` with images of one's own, which are looked for beside the file first."""
    here = folder / (split.dataset or "")
    return (
        replace(split, dataset=str(here))
        if split.dataset not in (None, *DATASETS) and here.exists()
        else split
    )


# -- what is wrong with a file beyond its types


def _problems(file: Mapping[str, Any]) -> Iterator[Problem]:
    if all(file.get(kind, ()) in ((), [], {}) for kind in ("rows", "one_at_a_time", "leave_one_out")):
        yield "top level", "no variants: give rows, one_at_a_time or leave_one_out"
    recipe, profile = file.get("recipe") or {}, PROFILES[file.get("profile") or DEFAULT_PROFILE]
    if recipe.get("momentum") == 0 and recipe.get("nesterov", profile.recipe.nesterov):
        yield "recipe.momentum", "0: Nesterov's needs a momentum; set nesterov: false"
    epochs = recipe.get("epochs") or profile.recipe.epochs
    cycles = recipe.get("cycles")
    if cycles and None not in (*cycles, epochs) and cycles[-1] >= epochs:
        yield "recipe.cycles", f"{[*cycles]}: must end before the last of {counted(epochs, 'epoch')}"
    yield from _row_problems(file.get("rows") or ())
    yield from _baseline_problems(file)
    stages = len(get_reference(file.get("reference") or None).stages)
    yield from _factor_problems(file.get("one_at_a_time") or {}, stages, "one_at_a_time")
    yield from _component_problems(file.get("leave_one_out") or {}, file.get("together") or {}, stages)
    if file.get("groups") and not file.get("table"):
        yield "groups", "their order is compared with the paper's: give the table"


def _row_problems(rows: Iterable[Mapping[str, Any] | None]) -> Iterator[Problem]:
    names: set[str] = set()
    for number, row in enumerate(rows, start=1):
        if row is None:
            continue
        if ("block" in row) == ("system" in row):
            yield f"rows.{number}", "give either block or system"
        if "system" in row and "gate" in row:
            yield f"rows.{number}.gate", "the system says its gate"
        name = _row_name(row)
        if len(name) > 80:
            yield f"rows.{number}", "give it a name of 1 to 80 characters"
        if name in names and row.get("name", row.get("system", row.get("block"))) is not None:
            yield f"rows.{number}.name", f"{name}: another row has that name"
        names.add(name)


def _baseline_problems(file: Mapping[str, Any]) -> Iterator[Problem]:
    text, names = file.get("baseline"), [_row_name(row) for row in file.get("rows") or () if row]
    if "baseline" not in file:
        yield "baseline", "missing: give a row's name, a block, a system's name or best:STUDY"
    if text is None or text in names or text in SYSTEMS or text.startswith(BEST):
        return
    try:
        named_blocks(text)
    except UserError:
        known = f"a row ({', '.join(map(shown, names))}), " if names else ""
        yield (
            "baseline",
            f"{shown(text)}: must be {known}a block such as k3+k3d2, a system's name or best:STUDY",
        )


def _row_name(row: Mapping[str, Any]) -> str:
    system = row.get("system")
    return str(row.get("name") or (SYSTEMS[system].title if system else row.get("block")))


def _factor_problems(factors: Mapping[Any, Any], stages: int, where: str) -> Iterator[Problem]:
    decided = {path: levels for path, levels in factors.items() if is_path(path)}
    yield from decision_problems(decided, 8, stages, where=where)
    for factor, levels in factors.items():
        if factor in decided:
            continue
        place = f"{where}.{shown(factor)}"
        if factor not in SETTINGS:
            yield place, f"unknown factor; expected {_FACTORS}"
        elif not isinstance(levels, list) or not levels:
            yield place, "must be a list of levels in [ ]"
        else:
            yield from ((place, text) for level in levels if (text := SETTINGS[factor](level)))


def _refusal(read: Callable[[str], object]) -> Callable[[object], str]:
    """Return what says why ``read`` refuses a level, empty if it does not."""

    def refusal(level: object) -> str:
        if not isinstance(level, str):
            return f"{shown(level)}: must be text"
        try:
            read(level)
        except UserError as error:
            return str(error).splitlines()[0]
        return ""

    return refusal


# factors beside the decisions of a space, and what is wrong with a level of each
SETTINGS: Mapping[str, Callable[[object], str]] = {
    "backbone": _refusal(cifar_backbone),
    "gate": _refusal(parse_gate),
    "fuse_norm": lambda level: (
        "" if isinstance(level, bool) else f"level {shown(level)}: must be true or false"
    ),
}


def _component_problems(
    components: Mapping[str, Any], together: Mapping[str, Any], stages: int
) -> Iterator[Problem]:
    for name, change in components.items():
        levels = {factor: [level] for factor, level in (change or {}).items()}
        yield from _factor_problems(levels, stages, f"leave_one_out.{shown(name)}")
    for name, parts in together.items():
        place = f"together.{shown(name)}"
        if name in components:
            yield place, "a component has that name; give the group another"
        for part in parts or ():
            if not isinstance(part, str) or part not in components:
                known = ", ".join(map(shown, components))
                yield place, f"{shown(part)}: no such component; components: {known}"
