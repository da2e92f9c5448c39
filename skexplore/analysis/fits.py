"""What trainings of whole networks say: networks as variants, seeds as replicates, published errors beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from skexplore.analysis.dunnett import Layout, Summary, describe, summarise
from skexplore.arch import format_blocks
from skexplore.errors import UserError
from skexplore.paper import SYSTEMS, printed_rows
from skexplore.study import PAPER, Fit, FitSpec, differences
from skexplore.words import counted, first_of

CIFAR_TABLE, IMAGENET_TABLE = "5", "2"
FIT_COLUMNS = (
    "fit", "network", "seed", "state", "part", "resolution", "error", "loss", "params", "macs", "seconds", "waiting",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FitsFound:
    """Trainings of one recipe on one data set, judged by ``part`` (test where all were measured there).

    summary: of the networks (by their titles) over seeds; baseline: the title of the one that they are compared with.
    """

    fits: tuple[Fit, ...]
    part: str
    baseline: str
    layout: Layout
    summary: Summary

    @property
    def spec(self) -> FitSpec:
        """What they have in common is that of the first."""
        return self.fits[0].spec

    @property
    def done(self) -> list[Fit]:
        """Those that are finished."""
        return [each for each in self.fits if each.metrics]


def compare_fits(fits: Sequence[Fit]) -> FitsFound:
    """Return what ``fits`` say; raises ``UserError`` where recipe or images differ, or a network has a seed twice."""
    first = fits[0].spec.comparable
    for each in fits[1:]:
        if each.spec.comparable != first:
            why = _unlike(fits[0].spec, each.spec)
            raise UserError(
                f"{fits[0].folder} and {each.folder} cannot be compared ({why}); report on each by itself"
            )
    own = titles_of(fits)
    titles = tuple(dict.fromkeys(own))
    seeds = tuple(sorted({each.spec.seed for each in fits}))
    found: dict[tuple[str, int], Fit] = {}
    for title, each in zip(own, fits, strict=True):
        at = (title, each.spec.seed)
        if at in found:
            raise UserError(
                f"{found[at].folder} and {each.folder} are both {at[0]} with seed {at[1]}; give one of them"
            )
        found[at] = each
    done = [each for each in fits if each.metrics]
    part = "test" if done and all(each.error("test") is not None for each in done) else "val"
    papers = [
        title
        for title, each in zip(own, fits, strict=True)
        if format_blocks(each.spec.architecture.blocks) == PAPER
    ]
    layout = Layout(
        names=titles,
        seeds=seeds,
        errors=tuple(
            tuple(found[title, seed].error(part) if (title, seed) in found else None for seed in seeds)
            for title in titles
        ),
        baseline=[*papers, titles[0]][0],
    )
    return FitsFound(
        fits=tuple(fits), part=part, baseline=layout.baseline, layout=layout, summary=summarise(layout)
    )


def titles_of(fits: Sequence[Fit]) -> list[str]:
    """Return the name of each training's network: of networks that are the same, however asked for, the first's."""
    first: dict[str, str] = {}
    return [first.setdefault(each.spec.architecture.id, each.spec.title) for each in fits]


def _unlike(one: FitSpec, other: FitSpec) -> str:
    """Return what of two trainings that are no repeats differs; where the images do, they alone."""
    if one.content != other.content:
        here, there = (f"{each.name} {each.digest[:12]}".rstrip() for each in (one.content, other.content))
        return f"images of {here} here, of {there} there"
    names = ("resolution", "accumulate", "init")
    plain = [
        asdict(each.recipe) | {name: getattr(each, name) or "none" for name in names} for each in (one, other)
    ]
    return differences(*plain)


def fits_table(found: FitsFound) -> pd.DataFrame:
    """Return a row for each training and what was measured of it, with ``FIT_COLUMNS``; errors are fractions."""
    own = zip(titles_of(found.fits), found.fits, strict=True)
    return pd.DataFrame(
        [row for title, fit in own for row in _fit_rows(title, fit)], columns=list(FIT_COLUMNS)
    )


def _fit_rows(title: str, fit: Fit) -> Iterator[dict[str, Any]]:
    metrics = fit.metrics
    own = {"fit": fit.folder.name, "network": title, "seed": fit.spec.seed, "state": state_words(fit)}
    if metrics is None:
        yield own
        return
    costs = {name: getattr(metrics, name) for name in ("params", "macs", "seconds", "waiting")}
    for each in metrics.measured:
        yield own | costs | asdict(each)


def state_words(fit: Fit) -> str:
    """Return how far a training is."""
    return "finished" if fit.metrics else f"epoch {len(fit.curve)} of {fit.spec.recipe.epochs}"


def fit_curves_table(found: FitsFound) -> pd.DataFrame:
    """Return the curves: a row for each training and epoch."""
    rows = [
        {"fit": fit.folder.name, "network": title, "seed": fit.spec.seed} | asdict(epoch)
        for title, fit in zip(titles_of(found.fits), found.fits, strict=True)
        for epoch in fit.curve
    ]
    names = ["fit", "network", "seed", "epoch", "lr", "train_loss", "val_loss", "val_error", "seconds"]
    return pd.DataFrame(rows, columns=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class InPrint:
    """A row of the paper beside trainings. same: titles of those that are the very network. Errors in %."""

    table: str
    system: str
    params_m: str
    error_pct: str
    error_320_pct: str
    same: tuple[str, ...]


def in_print(found: FitsFound) -> list[InPrint]:
    """Return the rows of Table 5 beside CIFAR, of Table 2 beside images of ImageNet's size and classes, else none."""
    spec = found.spec
    column = {"cifar10": "cifar10_error_pct", "cifar100": "cifar100_error_pct"}.get(spec.content.name, "")
    table = CIFAR_TABLE if column and not spec.content.digest else ""
    if not table and (spec.content.classes, spec.resolution) == (1000, 224):
        table, column = IMAGENET_TABLE, "top1_error_pct"
    ids = {
        title: fit.spec.architecture.id for title, fit in zip(titles_of(found.fits), found.fits, strict=True)
    }
    rows = []
    for row in printed_rows():
        error = getattr(row, column) if column else ""
        if row.table != table or not error:
            continue
        system = SYSTEMS.get(row.definition)  # others are not built here
        own = system.architecture(spec.content.classes).id if system else ""
        rows.append(
            InPrint(
                table=table,
                system=row.system,
                params_m=row.params_m,
                error_pct=error,
                error_320_pct=row.top1_error_320_pct if table == IMAGENET_TABLE else "",
                same=tuple(title for title, each in ids.items() if each == own),
            )
        )
    return rows


def fit_statements(found: FitsFound) -> list[str]:
    """Return, in sentences, what the trainings allow to be said and what not."""
    summary = found.summary
    said = [
        f"{each.folder.name} is not finished ({state_words(each)})."
        for each in found.fits
        if each.metrics is None
    ]
    if not summary.variants:
        return [*said, "No training is finished yet."]
    said += summary.left_out
    said += [f"{each.name}: {describe(each, summary.n, found.baseline)}." for each in summary.differences]
    if summary.n == 1:
        said.append("One seed: numbers, no claims. Train each network with two seeds or more.")
    elif not summary.n:
        said.append("Nothing is claimed. Train each network with the same two seeds or more.")
    elif any(each.low is not None for each in summary.differences):
        said.append(
            f"Intervals of differences hold all together in 95 % of such comparisons (Dunnett's test, "
            f"n = {summary.n}); they are over seeds, given these training and {part_words(found)} images."
        )
    if len(machines := {_machine(each) for each in found.done}) > 1:
        said.append(f"Not all on one kind of machine: {'; '.join(sorted(machines))}.")
    if rows := in_print(found):
        same = [title for row in rows for title in row.same]
        which = f"and of {first_of(same)}" if same else "and of other networks"
        images = "CIFAR" if rows[0].table == CIFAR_TABLE else "ImageNet"
        said.append(
            f"Errors in print (Table {rows[0].table}) are of {images}, of another protocol {which}: they are shown, "
            "not compared."
        )
    return said


def _machine(fit: Fit) -> str:
    """Return what digits of a training depend on beside its specification."""
    own = fit.metrics.environment if fit.metrics else {}
    return ", ".join(f"{name} {own[name]}" for name in ("workers", "gpu", "cpu", "torch") if name in own)


def part_words(found: FitsFound) -> str:
    """Return the images that errors are of."""
    return "test" if found.part == "test" else "validation"


def fits_findings(found: FitsFound) -> dict[str, Any]:
    """Return everything a report of trainings states as plain JSON data."""
    costs = dict(zip(titles_of(found.done), (fit.metrics for fit in found.done), strict=True))
    gaps = {each.name: asdict(each) for each in found.summary.differences}
    return {
        "fits": [
            {
                "fit": fit.folder.name,
                "network": title,
                "seed": fit.spec.seed,
                "state": state_words(fit),
            }
            for title, fit in zip(titles_of(found.fits), found.fits, strict=True)
        ],
        "part": found.part,
        "baseline": found.baseline,
        "recipe": asdict(found.spec.recipe),
        "images": asdict(found.spec.content),
        "resolution": found.spec.resolution,
        "networks": [
            asdict(each)
            # no error is below 0 or above 1
            | {"low": None if each.low is None else max(0.0, each.low)}
            | {"high": None if each.high is None else min(1.0, each.high)}
            | {
                "params": getattr(costs.get(each.name), "params", None),
                "macs": getattr(costs.get(each.name), "macs", None),
            }
            | {"to_baseline": gaps.get(each.name)}
            for each in found.summary.variants
        ],
        "n": found.summary.n,
        "residual_sd": found.summary.residual_sd,
        "df": found.summary.df,
        "in_print": [asdict(each) for each in in_print(found)],
        "statements": fit_statements(found),
        "environments": {fit.folder.name: fit.metrics.environment for fit in found.done if fit.metrics},
        "commands": {fit.folder.name: fit.metrics.command for fit in found.done if fit.metrics},
        "state": "finished" if len(found.done) == len(found.fits) else "not finished",
        "said": counted(len(found.fits), "training"),
    }
