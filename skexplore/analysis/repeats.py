"""Searches that differ in their seed alone, as groups, and what tells one group from another: no drawing, no writing.

A search is judged by the block that it would name, at what its error is thought to be, and not by its lowest error:
that is too low by selection, the more so the more single trainings there are. Errors are fractions 0..1, GFLOPs are at
the reference. Infinity stands for an error that is not there yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import pandas as pd

from skexplore.analysis.course import Course, course, ended
from skexplore.analysis.ranks import WinRate, win_rate
from skexplore.errors import UserError
from skexplore.study import Study, StudySpec, compare_specs, load_study, search_command, trained

QUARTILES = 5  # repeats from which on the band is that of the quartiles, else from the lowest to the highest
CURVE_COLUMNS = ("group", "study", "images", "best_val_error", "low", "high")
IN_TABLE = ("Seed:", "Trained:")  # differences that the table of studies shows

# -- groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Studies that are alike but for their seed and name, by seed; ``label`` tells the groups apart."""

    label: str
    studies: tuple[Study, ...]


def grouped(studies: Sequence[Study]) -> tuple[Group, ...]:
    """Return the groups of ``studies`` in the order given; raises ``UserError`` if they cannot be compared."""
    if len(studies) < 2:
        raise UserError("one study is nothing to compare; give two or more, repeats of one search or others")
    for study in studies:
        _check_search(study)
    _check_comparable(studies)
    found: dict[Any, list[Study]] = {}
    for study in studies:
        found.setdefault(_asked(study), []).append(study)
    groups = [sorted(each, key=lambda study: study.spec.seed) for each in found.values()]
    for one, other in (pair for group in groups for pair in pairwise(group)):
        if one.spec.seed == other.spec.seed:
            raise UserError(
                f"{one.spec.name} and {other.spec.name} are the same search with the same seed ({one.spec.seed}), so "
                "that they are no repeats; give one of them"
            )
    labels = _group_labels([group[0] for group in groups])
    return tuple(
        Group(label=label, studies=tuple(group)) for label, group in zip(labels, groups, strict=True)
    )


def _check_search(study: Study) -> None:
    name = study.spec.name
    if study.spec.ablation is not None:
        raise UserError(
            f"{name} is an ablation: its networks were given, not searched for; compare takes searches"
        )
    if not study.spec.searches:
        raise UserError(f"{name} is no search: its blocks were chosen by hand; compare takes searches")
    if not any(record.images for record in ended(study)):
        raise UserError(f"{name}: no trial of its search is trained yet; go on with: {search_command(study)}")


def _check_comparable(studies: Sequence[Study]) -> None:
    named: dict[str, Study] = {}
    for study in studies:
        if twin := named.get(study.spec.name):
            raise UserError(f"{' '.join(compare_specs(twin, study).refusals)} Give each study once")
        named[study.spec.name] = study
    first = studies[0]
    for study in studies[1:]:
        if refusals := compare_specs(first, study).refusals:
            raise UserError(
                f"{first.spec.name} (here) and {study.spec.name} (there) cannot be compared: {' '.join(refusals)}"
            )
        if _budget(first.spec) != _budget(study.spec):
            raise UserError(
                f"{first.spec.name} and {study.spec.name} cannot be compared: {_words_of_budget(first.spec)} and "
                f"{_words_of_budget(study.spec)}; the best block within another budget answers another question"
            )


def _budget(spec: StudySpec) -> tuple[object, ...]:
    """Return the budget of a search; one of latency is of its machine."""
    terms = spec.latency.same if spec.latency and spec.budget_latency_ms else None
    return (*spec.budget, spec.budget_latency_ms, terms)


def _asked(study: Study) -> str:
    """Return what a study was asked to do, but for its seed and for what changes no trial: names, kept weights."""
    spec = study.spec
    terms = spec.latency and spec.latency.same
    plain = replace(spec, name="", space="", profile="", backbone="", keep_weights="", seed=0, latency=terms)
    return repr((plain, replace(spec.body, name="")))


def _words_of_budget(spec: StudySpec) -> str:
    where = f" ({spec.latency.words})" if spec.latency and spec.budget_latency_ms else ""
    return f"{spec.budget_words}{where}"


def _group_labels(firsts: Sequence[Study]) -> list[str]:
    """Return for the first study of each group in what it differs from the others; its name if that is not enough."""
    words = [_words(study) for study in firsts]
    telling = [at for at in range(len(words[0])) if len({row[at] for row in words}) > 1]
    labels = [", ".join(row[at] for at in telling or [0]) for row in words]
    return labels if len(set(labels)) == len(labels) else [study.spec.name for study in firsts]


def _words(study: Study) -> tuple[str, ...]:
    spec = study.spec
    rungs = f"rungs {'/'.join(map(str, spec.rungs))}" if spec.rungs else "no rungs"
    return spec.sampler, spec.mode, spec.space, rungs, f"anchors {spec.anchors}"


# -- hypervolume


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The point against which hypervolumes are measured, and ``why`` it is there."""

    error: float
    gflops: float
    why: str

    @property
    def area(self) -> float:
        """The rectangle from zero to the point, in units of error times GFLOPs."""
        return self.error * self.gflops


def hypervolume(points: Iterable[tuple[float, float]], reference: Reference) -> float:
    """Return the area that ``points`` (error, GFLOPs) dominate within ``reference``; less is better in both."""
    area, lowest = 0.0, reference.error
    for error, gflops in sorted(points, key=lambda point: (point[1], point[0])):
        if error < lowest and gflops < reference.gflops:
            area += (lowest - error) * (reference.gflops - gflops)
            lowest = error
    return area


def _reference(studies: Sequence[Study], given: tuple[float, float] | None) -> Reference:
    if given is not None:
        return Reference(error=given[0], gflops=given[1], why="as given")
    spec = studies[0].spec
    error, chance = 1 - 1 / spec.split.classes, f"error of chance among {spec.split.classes} classes"
    if spec.budget_gflops is not None:
        return Reference(error=error, gflops=spec.budget_gflops, why=f"{chance}, the budget")
    largest = max(record.ref_macs for study in studies for record in study.searched) / 1e9
    return Reference(error=error, gflops=largest, why=f"{chance}, the largest block of all trials")


# -- all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One study. images: of its search. incumbent: the estimated error of the block that it names, None if it has none.

    hypervolume: of its estimated front. ``..._at_equal``: when the search had trained on as many images as every other
    has.
    """

    study: str
    group: str
    seed: int
    trained: int
    images: int
    incumbent: float | None
    incumbent_at_equal: float | None
    hypervolume: float
    hypervolume_at_equal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two groups. rate: of their errors at equal images.

    alike: seeds of which both have a search, where these begin with the same trial; how many trainings both have.
    """

    first: str
    second: str
    rate: WinRate
    alike: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What ``compare`` found. images: the least that a search trained on. differences: what must be said beside."""

    groups: tuple[Group, ...]
    repeats: tuple[Repeat, ...]
    images: int
    reference: Reference
    pairs: tuple[Pair, ...]
    differences: tuple[str, ...]
    curves: pd.DataFrame


def compare(studies: Sequence[str | Study], reference: tuple[float, float] | None = None) -> Compared:
    """Compare searches, given or by their names, those that differ in their seed alone as one group.

    reference: error and GFLOPs of the point for hypervolumes, else the error of chance and the budget (the largest
    trial where there is none). Raises ``UserError`` if the studies cannot be compared.
    """
    found = [load_study(each) if isinstance(each, str) else each for each in studies]
    groups = grouped(found)
    images = min(sum(record.images for record in ended(study)) for study in found)
    courses = {study.spec.name: course(study, also=(images,)) for study in found}
    point = _reference(found, reference)
    return Compared(
        groups=groups,
        repeats=tuple(
            _repeat(study, group.label, courses[study.spec.name], images, point)
            for group in groups
            for study in group.studies
        ),
        images=images,
        reference=point,
        pairs=tuple(_pair(one, other, courses, images) for one, other in combinations(groups, 2)),
        differences=tuple(_differences(groups)),
        curves=pd.DataFrame(_curves(groups, courses, images), columns=pd.Index(CURVE_COLUMNS)),
    )


def _repeat(study: Study, group: str, run: Course, images: int, reference: Reference) -> Repeat:
    end, equal = run.moments[-1], run.at(images)
    return Repeat(
        study=study.spec.name,
        group=group,
        seed=study.spec.seed,
        trained=trained(study.records),
        images=run.total,
        incumbent=finite(end.best),
        incumbent_at_equal=finite(equal.best),
        hypervolume=hypervolume(end.front, reference),
        hypervolume_at_equal=hypervolume(equal.front, reference),
    )


def finite(error: float) -> float | None:
    """Return ``error``, None for infinity."""
    return error if math.isfinite(error) else None


def _pair(one: Group, other: Group, courses: dict[str, Course], images: int) -> Pair:
    at = [[courses[study.spec.name].at(images).best for study in group.studies] for group in (one, other)]
    seeds = {study.spec.seed: study for study in other.studies}
    twins = [(a, seeds[a.spec.seed]) for a in one.studies if a.spec.seed in seeds]
    return Pair(
        first=one.label,
        second=other.label,
        rate=win_rate(*at),
        alike={
            a.spec.seed: len(_measured(a) & _measured(b))
            for a, b in twins
            if ended(a)[0].arch_id == ended(b)[0].arch_id
        },
    )


def _measured(study: Study) -> set[str]:
    return {r.key for r in study.searched if r.origin == "search" and r.status in ("complete", "stopped")}


def _differences(groups: Sequence[Group]) -> Iterator[str]:
    """Say what must stand beside the comparison: of each group within itself, and of the groups' first studies."""
    first, said = groups[0].studies[0], dict[tuple[str, str], list[str]]()
    for group in groups:
        own = group.studies[0]
        beside = [(own, study) for study in group.studies[1:]] + ([(first, own)] if own is not first else [])
        for one, other in beside:
            for label in compare_specs(one, other).labels:
                if not label.startswith(IN_TABLE):
                    said.setdefault((one.spec.name, label), []).append(other.spec.name)
    for (here, label), there in said.items():
        yield f"{here} (here), {', '.join(there)} (there): {label}"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower end, median and upper end of a group: its quartiles from ``QUARTILES`` values on, else all."""
    whole = len(values) < QUARTILES
    return (
        quantile(values, 0.0 if whole else 0.25),
        quantile(values, 0.5),
        quantile(values, 1.0 if whole else 0.75),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed, between two of them in proportion."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = ordered[math.floor(place)]
    above = (
        ordered[math.ceil(place)] - low if math.isfinite(low) else 0.0
    )  # infinity less infinity is no number
    return low + (place % 1) * above if above else low


def _curves(groups: Sequence[Group], courses: dict[str, Course], images: int) -> Iterator[dict[str, Any]]:
    """Return the steps of every study, whole, then of its group up to ``images``, from where all have an error."""
    ends = {end for run in courses.values() for end in _steps(run) if end <= images} | {images}
    for group in groups:
        runs = {study.spec.name: courses[study.spec.name] for study in group.studies}
        for name, run in runs.items():
            for end in sorted({*_steps(run), run.total}):
                if math.isfinite(best := run.at(end).best):
                    yield {"group": group.label, "study": name, "images": end, "best_val_error": best}
        for end in sorted(ends):
            values = [run.at(end).best for run in runs.values()]
            if all(map(math.isfinite, values)):
                low, median, high = spread(values)
                row = {"group": group.label, "study": "", "images": end}
                yield row | {"best_val_error": median, "low": low, "high": high}


def _steps(run: Course) -> list[int]:
    """Return the images after which a search would have named another block, or thought otherwise of its error."""
    bests = (math.inf, *(moment.best for moment in run.moments))
    changed = (after != before for before, after in pairwise(bests))
    return [moment.images for moment, new in zip(run.moments, changed, strict=True) if new]


def repeats_table(found: Compared) -> pd.DataFrame:
    """Return one row per study: the fields of ``Repeat``, and hypervolumes as shares of the reference's rectangle."""
    table = pd.DataFrame([asdict(each) for each in found.repeats])
    for name in ("hypervolume", "hypervolume_at_equal"):
        table[name.replace("hypervolume", "hypervolume_share")] = table[name] / found.reference.area
    for name in ("incumbent", "incumbent_at_equal"):
        table[name] = table[name].astype("float64")
    return table
