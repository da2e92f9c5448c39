"""From the records of an ablation to its tables: what each variant reached, and which differences stand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from skexplore.analysis.contrasts import Contrasted, contrast_words, contrasted
from skexplore.analysis.dunnett import (
    Difference,
    Layout,
    Order,
    Summary,
    VariantStats,
    describe,
    order,
    summarise,
)
from skexplore.analysis.ranks import kendall
from skexplore.study import Design, Record, Study, Variant, cells, devices_of, distinct_trainings
from skexplore.words import counted

NEARLY_EQUAL = 0.03  # a share of the baseline's multiply-adds
COLUMNS = (
    "variant", "network", "role", "factor", "level", "same_as", "status", "n", "mean", "sd", "low", "high",
    "difference", "difference_low", "difference_high", "p", "n_needed", "verdict", "per_gflop",
    "ref_params", "ref_macs", "proxy_params", "proxy_macs",
    "printed_row", "printed_error_pct", "printed_params_m", "printed_gflops",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The statistics of an ablation.

    order: between our means and the paper's errors, None without a table; orders: within the groups of the design.
    """

    summary: Summary
    order: Order | None
    contrasts: tuple[Contrasted, ...] = ()
    orders: Mapping[str, Order | None] = field(default_factory=dict)


def design_of(study: Study) -> Design:
    """Return the design of an ablation; ``study`` must be one."""
    design = study.spec.ablation
    assert design is not None
    return design


def layout(study: Study, *, error: str = "val_error") -> Layout:
    """Return variants x seeds of ``val_error`` or ``test_error``, None where there is no complete training.

    Of variants that are one network in this proxy the first stands for all: they are no independent evidence.
    """
    design, found, same = design_of(study), cells(study.spec, study.records), same_networks(study)
    seeds = range(study.spec.seed, study.spec.seed + design.seeds)
    names = [name for name, first in same.items() if not first]
    rows = [[_error(found.get((name, seed)), error) for seed in seeds] for name in names]
    baseline = same[design.baseline] or design.baseline
    return Layout(names=tuple(names), seeds=tuple(seeds), errors=tuple(map(tuple, rows)), baseline=baseline)


def measured(study: Study) -> str:
    """Return the column of records that an ablation is judged by."""
    return "test_error" if design_of(study).test else "val_error"


def _error(record: Record | None, name: str) -> float | None:
    if record is None or record.status != "complete":
        return None
    value: float | None = getattr(record, name)
    return value


def same_networks(study: Study) -> dict[str, str]:
    """Return for each variant the first one that is the same network in this proxy, empty for that one itself."""
    first: dict[str, str] = {}
    found = {}
    for variant in design_of(study).variants:
        own = study.spec.trained_for(variant).id
        known = first.setdefault(own, variant.name)
        found[variant.name] = "" if known == variant.name else known
    return found


def effects(study: Study) -> Effects:
    """Return the statistics of an ablation's validation errors, of a confirmation's test errors.

    On the validation images the finalists were chosen: their errors there are too low by selection still.
    """
    own, same = layout(study, error=measured(study)), same_networks(study)
    printed: dict[str, float] = {}  # by the first of equal networks, whichever of them the paper prints
    for variant in design_of(study).variants:
        if variant.printed is not None and variant.printed.error_pct is not None:
            printed.setdefault(same[variant.name] or variant.name, variant.printed.error_pct / 100)
    orders = {}
    for group in design_of(study).groups:
        inside = {same[name] or name for name in group.variants}
        orders[group.name] = order(own, {name: error for name, error in printed.items() if name in inside})
    return Effects(
        summary=summarise(own),
        order=order(own, printed),
        contrasts=contrasted(design_of(study), own, same),
        orders=orders,
    )


def effects_table(study: Study, found: Effects) -> pd.DataFrame:
    """Return one row for each variant, in the order of the design, with ``COLUMNS``; errors are fractions.

    per_gflop: the difference in points of error for each 10^9 multiply-adds that the variant has more than the baseline
    at the reference; none where the costs differ by no more than ``NEARLY_EQUAL``: a share of hardly any GFLOPs would
    be an enormous number.
    """
    same, design, records = same_networks(study), design_of(study), cells(study.spec, study.records)
    means = {each.name: each for each in found.summary.variants}
    differences = {each.name: each for each in found.summary.differences}
    base = next(variant for variant in design.variants if variant.name == design.baseline)
    base_macs = base.architecture.cost().macs
    rows = []
    for variant in design.variants:
        name = same[variant.name] or variant.name
        row = _of_variant(study, variant)
        row |= {"same_as": same[variant.name], "status": _status(study, records, variant.name)}
        row |= _of_means(means.get(name)) | _of_difference(
            differences.get(name), found.summary.n, design.baseline
        )
        more = (row["ref_macs"] - base_macs) / 1e9
        if row["difference"] is not None and abs(more) > NEARLY_EQUAL * base_macs / 1e9:
            row["per_gflop"] = 100 * row["difference"] / more
        rows.append({column: row.get(column) for column in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"n_needed": "Int64"})


def _of_variant(study: Study, variant: Variant) -> dict[str, Any]:
    there, here = variant.architecture.cost(), study.spec.trained_for(variant).cost()
    printed = variant.printed
    return {
        "variant": variant.name,
        "network": variant.network,
        "role": variant.role,
        "factor": variant.factor,
        "level": variant.level,
        "per_gflop": None,
        "ref_params": there.params,
        "ref_macs": there.macs,
        "proxy_params": here.params,
        "proxy_macs": here.macs,
        "printed_row": printed.system if printed else "",
        "printed_error_pct": printed.error_pct if printed else None,
        "printed_params_m": printed.params_m if printed else None,
        "printed_gflops": printed.gflops if printed else None,
    }


def _status(study: Study, found: Mapping[tuple[str, int], Record], name: str) -> str:
    """Return ``complete``, or how many seeds ended otherwise."""
    first, count = study.spec.seed, design_of(study).seeds
    ends = [
        found[name, seed].status if (name, seed) in found else "missing"
        for seed in range(first, first + count)
    ]
    counts = Counter(ends)
    if counts["complete"] == count:
        return "complete"
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _of_means(stats: VariantStats | None) -> dict[str, Any]:
    if stats is None:
        return {"n": 0, "mean": None, "sd": None, "low": None, "high": None}
    return {"n": stats.n, "mean": stats.mean, "sd": stats.sd, "low": stats.low, "high": stats.high}


def _of_difference(found: Difference | None, n: int, baseline: str) -> dict[str, Any]:
    if found is None:
        return {"difference": None, "verdict": ""}
    return {
        "difference": found.difference,
        "difference_low": found.low,
        "difference_high": found.high,
        "p": found.p,
        "n_needed": found.n_needed,
        "verdict": describe(found, n, baseline),
    }


def course_table(study: Study) -> pd.DataFrame:
    """Return, epoch by epoch, how far the order of the variants is the last epoch's.

    Columns: epoch, images, tau (Kendall's tau-b between the mean errors then and at the end), swapped (pairs of
    variants in the other order), pairs, best (the variant of lowest mean). Complete seeds alone.
    """
    summary, found = summarise(layout(study)), cells(study.spec, study.records)
    names, seeds = [variant.name for variant in summary.variants], summary.blocks
    rows: list[dict[str, Any]] = []
    if not seeds or len(names) < 2:
        return pd.DataFrame(rows, columns=["epoch", "images", "tau", "swapped", "pairs", "best"])
    curves = {
        name: [math.fsum(e) / len(seeds) for e in zip(*(_curve(found[name, s]) for s in seeds), strict=True)]
        for name in names
    }
    last = [curves[name][-1] for name in names]
    for epoch in range(1, study.spec.recipe.epochs + 1):
        now = [curves[name][epoch - 1] for name in names]
        swapped, pairs = _swapped(now, last)
        rows.append(
            {
                "epoch": epoch,
                "images": epoch * study.spec.split.train_images,
                "tau": kendall(now, last),
                "swapped": swapped,
                "pairs": pairs,
                "best": names[now.index(min(now))],
            }
        )
    return pd.DataFrame(rows)


def _curve(record: Record) -> list[float]:
    return [epoch.val_error for epoch in record.curve]


def _swapped(now: Sequence[float], last: Sequence[float]) -> tuple[int, int]:
    """Return how many pairs stand in the other order than at the end, and how many pairs the end tells apart."""
    pairs = [(a, b) for a in range(len(last)) for b in range(a) if last[a] != last[b]]
    return sum((now[a] - now[b]) * (last[a] - last[b]) < 0 for a, b in pairs), len(pairs)


def statements(study: Study, found: Effects) -> list[str]:
    """Return, in sentences, what the records allow to be said and what not."""
    summary, design = found.summary, design_of(study)
    if not summary.variants:
        return ["No training is complete yet."]
    said = [
        *summary.left_out,
        *_taken_over_words(study, design),
        *_devices_words(study),
        *_other_seeds_words(study, design),
    ]
    if summary.n < 2:
        one = "One seed: numbers, no claims." if summary.n else "No seed is complete: no claims."
        rest = "Repeat the command for the seeds that are left."
        if design.seeds < 2 or study.state == "finished":
            lost = ", or take out the variants without a result" if design.seeds > 1 and not design.of else ""
            rest = f"Give --seeds {max(3, design.seeds + 2)} or more{lost}."
        return [*said, f"{one} {rest}"]
    clear = [each for each in summary.differences if each.distinguishable]
    if summary.differences:
        are = "variant is" if len(summary.differences) == 1 else "variants are"
        said.append(
            f"{len(clear)} of {len(summary.differences)} {are} distinguishable from {design.baseline} at "
            f"n = {summary.n} (Dunnett's test, 95 % for all together)."
        )
    if summary.pairing is not None:
        said.append(_pairing_words(summary))
    said += [contrast_words(each, summary.n) for each in found.contrasts]
    if found.order is not None:
        said.append(_order_words(found.order, f"that of Table {design.table}"))
    said += [
        _order_words(each, f"the paper's, within {name}")
        for name, each in found.orders.items()
        if each is not None
    ]
    part = "test" if design.test else "validation"
    said.append(
        f"Intervals are over seeds, given these training and {part} images: other images are not in them."
    )
    return said


def _other_seeds_words(study: Study, design: Design) -> Iterator[str]:
    """Say what is on record under seeds that are not asked for."""
    asked = range(study.spec.seed, study.spec.seed + design.seeds)
    other = [r for r in study.records if r.status == "complete" and r.seed not in asked]
    if other:
        seeds = ", ".join(map(str, sorted({record.seed for record in other})))
        yield f"Complete trainings under seeds that are not asked for are left out: {len(other)}, of seed {seeds}."


def _devices_words(study: Study) -> Iterator[str]:
    """Say that trainings of the design were made on different devices."""
    if len(found := devices_of(cells(study.spec, study.records).values())) > 1:
        parts = "; ".join(f"{counted(count, 'training')} on {name}" for name, count in found.items())
        yield f"Not all on one device: {parts}. The same training gives other digits on another, as far apart as seeds."


def _taken_over_words(study: Study, design: Design) -> Iterator[str]:
    """Say which trainings another study made."""
    asked = {record.key: record for record in cells(study.spec, study.records).values()}
    taken = Counter(record.reason.rpartition(" of ")[2] for record in asked.values() if record.replay_of)
    whole = distinct_trainings(study.spec, design)
    for name, count in taken.items():
        yield (
            f"{count} of {whole} trainings are taken over from {name}, which measured the same networks with the same "
            "recipe, images and seeds; its environment is its own."
        )


def _pairing_words(summary: Summary) -> str:
    """Return whether giving all variants the same seeds helped, as far as that is known."""
    low, high = summary.pairing_low or 0.0, summary.pairing_high or math.inf
    verdict = f"whether this helped is not known at n = {summary.n}"
    if low > 1 or high < 1:
        verdict = "this helped" if low > 1 else "this did not help"
    correlation = f"{summary.seed_correlation:.2f}".replace("-", "−")
    return (
        f"All variants have the same seeds, and {verdict}: an unpaired difference would have {summary.pairing:.2f} "
        f"times the standard error (95 % {low:.2f} to {high:.2f}; correlation of seeds across variants {correlation})."
    )


def _order_words(found: Order, other: str) -> str:
    tau = f"{found.tau:.2f}"
    if found.low is not None:
        tau += f" (95 % credible {found.low:.2f} to {found.high:.2f}, the printed errors taken as exact)"
    ties = f"; {found.ties_published} tied in print" if found.ties_published else ""
    undecided = f"; the order of {found.undecided} is not decided here" if found.undecided else ""
    expected = ""
    if found.expected is not None:
        expected = (
            f"; were the true errors as far apart as in print, it would be {found.expected:.2f} on average"
        )
    return (
        f"Kendall's tau between our order and {other}: {tau.replace('-', '−')}, over {found.pairs} "
        f"pairs{ties}{undecided}{expected}."
    )


def ablation_findings(study: Study) -> dict[str, Any]:
    """Return what an ablation found, as plain data: the content of ``findings.json``."""
    found, spec = effects(study), study.spec
    table = effects_table(study, found)
    course = course_table(study)
    return {
        "study": spec.name,
        "state": study.state,
        "description": design_of(study).description,
        "kinds": list(design_of(study).kinds),
        "baseline": design_of(study).baseline,
        "seeds": design_of(study).seeds,
        "first_seed": spec.seed,
        "table": design_of(study).table,
        "variants": records_of(table),
        "statistics": {
            name: value
            for name, value in asdict(found.summary).items()
            if name not in ("variants", "differences")
        },
        "order": asdict(found.order) if found.order else None,
        "orders": {name: asdict(each) if each else None for name, each in found.orders.items()},
        "contrasts": [asdict(each) for each in found.contrasts],
        "course": records_of(course),
        "statements": statements(study, found),
        "images": sum(record.images for record in study.records),
        "seconds": sum(record.seconds for record in study.records),
        "environment": study.environment,
        "command": study.command,
    }


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as plain data, None where a value is missing."""
    return [
        {
            str(name): None if pd.isna(value) else value.item() if hasattr(value, "item") else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
