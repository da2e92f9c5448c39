"""Whether two studies may be drawn over each other, and what must be said beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from skexplore.study.record import devices_of, differences
from skexplore.study.spec import StudySpec
from skexplore.study.study import Study, trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two studies have not in common, as sentences; "here" is the first study, "there" the second.

    refusals: why their errors are not comparable. labels: differences that must stand beside an overlay.
    """

    refusals: tuple[str, ...]
    labels: tuple[str, ...]


def compare_specs(one: Study, other: Study) -> Comparison:
    """Return what keeps ``one`` and ``other`` apart.

    Errors are comparable if they were measured in the same way: the same data set and images, recipe, number of
    epochs and backbone. All else decides which blocks were tried and how long, and is a label.
    """
    return Comparison(refusals=tuple(_refusals(one, other)), labels=tuple(_labels(one, other)))


def _refusals(one: Study, other: Study) -> Iterator[str]:
    a, b = one.spec, other.spec
    if a.name == b.name:
        same = a == b and one.records == other.records
        why = "it is the same study" if same else "a plot could not tell them apart"
        yield f"Both are called {a.name}: {why}."
    if a.split != b.split:
        yield f"Their data differ ({differences(asdict(a.split), asdict(b.split))}): errors are not comparable."
    if a.recipe != b.recipe:
        said = differences(asdict(a.recipe), asdict(b.recipe))
        yield f"Their recipes differ ({said}): errors are not comparable."
    elif a.segments[-1] != b.segments[-1]:
        ends = f"{a.segments[-1]} epochs here, {b.segments[-1]} there"
        yield f"Their last rungs differ ({ends}): errors are not comparable."
    if a.reference != b.reference:
        yield f"Their references differ ({a.reference} here, {b.reference} there): blocks and costs are not comparable."
    if a.backbone != b.backbone and not _same_network(a, b):
        yield f"Their backbones differ ({a.backbone} here, {b.backbone} there): errors are not comparable."


def _labels(one: Study, other: Study) -> Iterator[str]:
    a, b = one.spec, other.spec
    rows = (
        ("Budget", a.budget_words.removeprefix("budget "), b.budget_words.removeprefix("budget ")),
        ("Latency", *(each.latency.words if each.latency else "not measured" for each in (a, b))),
        ("Space", _space_words(a, b), _space_words(b, a)),
        ("Sampler", a.sampler, b.sampler),
        ("Seed", a.seed, b.seed),
        ("Mode", a.mode, b.mode),
        ("Stopping", _rungs_words(a), _rungs_words(b)),
        ("State", one.state, other.state),
        ("Target", one.target, other.target),
        ("Trained", trained(one.records), trained(other.records)),
    )
    for name, here, there in rows:
        if here != there:
            yield f"{name}: {here} here, {there} there."
    here, there = (", ".join(devices_of(each.records)) for each in (one, other))
    if here and there and here != there:
        yield f"Devices: {here} here, {there} there; the same training gives other digits on another."
    if one.environment != other.environment:
        yield f"Environment: {differences(one.environment, other.environment)}."


def _space_words(own: StudySpec, other: StudySpec) -> str:
    """Return the name of a space, with its hash where another space has the same name."""
    same_name = own.space == other.space and own.space_hash != other.space_hash
    if own.space_hash == other.space_hash:
        return own.space_hash  # whatever it is called
    return f"{own.space} ({own.space_hash})" if same_name else own.space


def _rungs_words(spec: StudySpec) -> str:
    return f"at rungs of {', '.join(map(str, spec.rungs))} epochs" if spec.rungs else "none"


def _same_network(a: StudySpec, b: StudySpec) -> bool:
    """Whether two names of backbones mean one network, as 8x4d and 8x4d-1111 do."""
    return replace(a.body, name="") == replace(b.body, name="")
