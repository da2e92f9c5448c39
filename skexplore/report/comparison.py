"""The comparison of searches: one HTML page that needs no network, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skexplore.analysis import QUARTILES, Compared, Group, Pair, finite, repeats_table, spread
from skexplore.report.figures import files as figure_files
from skexplore.report.figures.comparison import curves_figure
from skexplore.report.page_data import rows_of
from skexplore.report.plots import PICTURE_SIZE
from skexplore.report.write import write_files
from skexplore.words import first_of

CLAIM = 0.05  # p above which two groups are not distinguishable
LUCK = "one search may end lower by the luck of its seed"


def write_comparison(found: Compared, out: Path) -> list[Path]:
    """Write what ``repeats.compare`` found into the folder ``out`` and return the paths written.

    ``compare.html`` (self-contained), ``compare.md``, ``curves.csv``, ``repeats.csv`` and ``findings.json``. Numbers
    in the data files are not rounded; errors are fractions there and % on the page. Equal studies give equal bytes.
    Raises ``OSError`` if the folder cannot be written.
    """
    studies = [study for group in found.groups for study in group.studies]
    return write_files(
        out,
        tables={"curves": found.curves, "repeats": repeats_table(found)},
        findings=comparison_findings(found),
        template="comparison",
        content={"spec": studies[0].spec, "studies": studies},
        data={"figures": {"curves": str(_figure(found).to_json())}},
        text="compare.md",
        page="compare.html",
    )


def comparison_picture(found: Compared, kind: str) -> bytes:
    """Return the curves as a picture for READMEs; kind: ``svg`` or ``png``; raises ``UserError`` as ``to_picture``."""
    width, height = PICTURE_SIZE
    return figure_files.to_picture(_figure(found), kind, width=width, height=height)


def _figure(found: Compared) -> Any:
    words = {group.label: f"{group.label}, {group_words(group)}" for group in found.groups}
    return curves_figure(found.curves, words, images=found.images)


def group_words(group: Group) -> str:
    """Return what the curve of a group shows."""
    count = len(group.studies)
    if count == 1:
        return "one search"
    return f"median of {count} ({'quartiles' if count >= QUARTILES else 'lowest to highest'} shaded)"


def comparison_findings(found: Compared) -> dict[str, Any]:
    """Return everything the comparison states as plain JSON data (the content of ``findings.json``)."""
    return {
        "images": found.images,
        "reference": asdict(found.reference) | {"area": found.reference.area},
        "groups": [_group(found, group) for group in found.groups],
        "repeats": rows_of(repeats_table(found)),
        "pairs": [
            asdict(pair)
            | {"alike": {str(seed): count for seed, count in pair.alike.items()}, "said": pair_words(pair)}
            for pair in found.pairs
        ],
        "differences": list(found.differences),
        "notes": list(_notes(found)),
    }


def _group(found: Compared, group: Group) -> dict[str, Any]:
    """Return the medians of a group at equal images, with the ends of its band."""
    rows = [row for row in found.repeats if row.group == group.label]
    errors = [float("inf") if row.incumbent_at_equal is None else row.incumbent_at_equal for row in rows]
    volumes = [row.hypervolume_at_equal / found.reference.area for row in rows]
    return {
        "label": group.label,
        "words": group_words(group),
        "studies": [row.study for row in rows],
        "incumbent_at_equal": _ends([finite(value) for value in spread(errors)]),
        "hypervolume_share_at_equal": _ends(spread(volumes)),
    }


def _ends(values: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(("low", "median", "high"), values, strict=True))


def pair_words(pair: Pair) -> str:
    """Say what two groups' errors at equal images tell, and what they cannot."""
    rate, (one, other) = pair.rate, (pair.first, pair.second)
    if rate.n == rate.m == 1:
        ends = {0.0: "higher than", 0.5: "as low as", 1.0: "lower than"}[rate.share]
        return f"The one search of {one} ends {ends} that of {other}. No claim: {LUCK}."
    said = f"{one} ends lower than {other} in {100 * rate.share:.0f} % of the {rate.n * rate.m} pairs of searches"
    said += " (ties half)"
    if rate.p is None:
        return f"{said}. No claim: {one if rate.n == 1 else other} has one search, and {LUCK}."
    how = "" if rate.exact else ", by the normal approximation"
    said += f", p = {rate.p:.2g} (Mann-Whitney, two-sided, n = {rate.n} and {rate.m}{how})"
    if rate.p < CLAIM:
        return f"{said}: distinguishable at {100 * CLAIM:.0f} %."
    if rate.least_p >= CLAIM:
        return f"{said}: not distinguishable, since so few searches cannot bring p below {rate.least_p:.2g}."
    return f"{said}: not distinguishable."


def _notes(found: Compared) -> Iterator[str]:
    """Return what a reader must know before quoting a number, as sentences."""
    yield (
        f"Equal images are {found.images:,}, what the shortest search trained on. When a training ended is not on "
        "record: trials count in the order of their numbers and replicates after them, each with all its images, "
        "stopped and failed ones too. Refused proposals and replays cost nothing, and anchors do not count."
    )
    yield (
        "A search is judged by the block that it would have named by then, at what the error of that block is thought "
        "to be. The test set plays no part."
    )
    studies = [study for group in found.groups for study in group.studies]
    plain = [study.spec.name for study in studies if not study.modelled]
    if len(plain) < len(studies):
        yield (
            "From eight blocks on that is the model's estimate, which is drawn towards those of blocks alike; before, "
            "the mean of its trainings, which is too low by selection."
        )
    if plain:
        yield (
            f"Of {first_of(plain)} it is the mean of the block's trainings to the end, which is too low by selection: "
            "there are too few blocks for a model, or the space is too large for one."
        )
    yield "Repeats of a group differ in the seed, which is that of the sampler and of the trainings alike."
    if not any(row.hypervolume_at_equal for row in found.repeats):
        yield "No trial lies below the reference point, and no hypervolume tells anything: give another --reference."
    none = [row.study for row in found.repeats if row.incumbent_at_equal is None]
    if none:
        yield (
            f"No trial within the budget was complete by then in {first_of(none)}: counted as higher than every error, "
            "and the curve of a group begins where all of its searches have one."
        )
    for pair in found.pairs:
        yield from _alike(pair)
    tested = sum(pair.rate.p is not None for pair in found.pairs)
    if tested > 1:
        yield f"{tested} pairs of groups are compared, and no p is corrected for their number."
    if len(found.groups) == 1:
        yield "All studies are repeats of one search: there is no other to compare them with."


def _alike(pair: Pair) -> Iterator[str]:
    if pair.alike:
        counts = first_of([f"{count} of seed {seed}" for seed, count in pair.alike.items()])
        yield (
            f"Where {pair.first} and {pair.second} have a search of the same seed, both begin with the same trials: "
            "random draws depend on the seed alone, and samplers that learn begin with some. Trainings that both have: "
            f"{counts}. Such searches are not independent."
        )
