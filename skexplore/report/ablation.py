"""The report of an ablation: one HTML page that needs no network, Markdown, CSV tables and findings as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from skexplore.analysis import (
    DRAWS,
    MOST_SEEDS,
    NEARLY_EQUAL,
    POWER,
    Effects,
    Signal,
    ablation_findings,
    confirmation_table,
    course_table,
    design_of,
    effects,
    effects_table,
    finalists_words,
    is_confirmation,
    layout,
    measured,
    records_of,
    same_networks,
    signal,
    signal_findings,
    signal_words,
    tells,
)
from skexplore.report.figures import (
    ablation as figures_ablation,
    files as figure_files,
    finalists as figures_finalists,
)
from skexplore.report.write import write_files
from skexplore.study import Design, Study, cells

TRAINING_COLUMNS = (
    "variant", "seed", "status", "val_error", "test_error", "epochs", "images", "seconds", "key", "replay_of", "reason",
)  # fmt: skip
MANY_SEEDS = 12  # more do not fit beside each other on a page
PICTURE_WIDTH = 860  # pixels; the width of a README's column


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What figures and templates show of a study.

    table: the variants in the order of the page. own: those of them that are networks of their own. baseline: the
    variant whose network the baseline is. n: seeds that all rests on.
    """

    study: Study
    found: Effects
    table: pd.DataFrame
    own: pd.DataFrame
    baseline: str
    n: int


def write_ablation_report(
    study: Study, out: Path, against: Study | None = None, *, refresh: int = 0
) -> list[Path]:
    """Write the report of an ablation into the folder ``out`` and return the paths written.

    ``effects.csv``, ``trainings.csv``, ``course.csv``, ``findings.json``, ``report.md`` and ``index.html``
    (self-contained), of a confirmation ``finalists.csv`` too. Numbers in the data files are not rounded; errors are
    fractions there and % on the page. against: long trainings of the same blocks, which one training here is compared
    with. refresh: as in ``write_report``. The same studies give the same bytes. Raises ``OSError`` if the folder cannot
    be written.
    """
    shown, told = _shown(study), _signal(study, against)
    figures, finalists = _figures(shown), is_confirmation(study)
    tables = {
        "effects": effects_table(study, shown.found),
        "trainings": trainings_table(study),
        "course": course_table(study),
    }
    if finalists:
        tables = {"finalists": confirmation_table(study), **tables}
    rows = records_of(tables["finalists"]) if finalists else []
    return write_files(
        out,
        tables=tables,
        findings=ablation_findings(study)
        | ({"finalists": rows} if finalists else {})
        | ({"signal": signal_findings(told)} if told else {}),
        template="ablation",
        content=_content(shown, list(figures))
        | {"signal": told, "signal_words": signal_words(told) if told else []},
        data={"figures": figures},
        refresh=refresh,
    )


def ablation_picture(study: Study, kind: str) -> bytes:
    """Return the means of an ablation with their intervals as a picture for READMEs; kind: ``svg`` or ``png``.

    Needs the extra ``picture`` and a Chromium; raises ``UserError`` that names what is missing.
    """
    shown = _shown(study)
    height = round(16 * figures_ablation.rows_rem(len(shown.own)))
    return figure_files.to_picture(_means_figure(shown), kind, width=PICTURE_WIDTH, height=height)


def means_figure(study: Study) -> Any:
    """Return the means of an ablation with their intervals."""
    return _means_figure(_shown(study))


def trainings_table(study: Study) -> pd.DataFrame:
    """Return one row for each training, with ``TRAINING_COLUMNS``; errors are fractions.

    variant: the first of those that are this network; empty if the design has none any more.
    """
    names = _names(study)
    rows = [
        {name: getattr(record, name, None) for name in TRAINING_COLUMNS}
        | {"variant": names.get(record.net_id, "")}
        for record in study.records
    ]
    return pd.DataFrame(rows, columns=list(TRAINING_COLUMNS))


def _names(study: Study) -> dict[str, str]:
    """Return the first variant of each network by its identity."""
    found: dict[str, str] = {}
    for variant in design_of(study).variants:
        found.setdefault(study.spec.trained_for(variant).id, variant.name)
    return found


def _shown(study: Study) -> _Shown:
    found, design = effects(study), design_of(study)
    told = {each.name: each.distinguishable for each in found.summary.differences}
    table = effects_table(study, found)
    table["told"] = [
        told.get(same or name) for name, same in zip(table["variant"], table["same_as"], strict=True)
    ]
    table = table.set_index("variant", drop=False).loc[_order(design)].reset_index(drop=True)
    return _Shown(
        study=study,
        found=found,
        table=table,
        own=table[table["same_as"] == ""],
        baseline=same_networks(study)[design.baseline] or design.baseline,
        n=found.summary.n,
    )


def _order(design: Design) -> list[str]:
    """Return the variants in the paper's order where they are rows of a table, and as they are designed else."""
    if design.kinds != ("rows",):
        return [variant.name for variant in design.variants]
    rows = sorted(design.variants, key=lambda v: (v.printed is None, v.printed.row if v.printed else 0))
    return [variant.name for variant in rows]


def _seeds_table(shown: _Shown) -> pd.DataFrame:
    """Return one row for each variant of its own and seed: status, error, and whether the seed counts in the means."""
    study = shown.study
    own, found = layout(study, error=measured(study)), cells(study.spec, study.records)
    rows = [
        {"variant": name, "seed": seed, "error": error, "counted": seed in shown.found.summary.blocks}
        | {"status": found[name, seed].status if (name, seed) in found else "missing"}
        for name, errors in zip(own.names, own.errors, strict=True)
        for seed, error in zip(own.seeds, errors, strict=True)
    ]
    columns = ["variant", "seed", "status", "error", "counted"]
    return pd.DataFrame(rows, columns=columns).astype({"error": float, "counted": bool})


def _curves_table(shown: _Shown) -> pd.DataFrame:
    """Return the mean validation error of each variant after each epoch, over the complete seeds."""
    study = shown.study
    found, blocks = cells(study.spec, study.records), shown.found.summary.blocks
    rows = [
        {"variant": name, "epoch": epoch.epoch, "val_error": epoch.val_error}
        for name in shown.own["variant"]
        for seed in blocks
        if (name, seed) in found and found[name, seed].status == "complete"
        for epoch in found[name, seed].curve
    ]
    table = pd.DataFrame(rows, columns=["variant", "epoch", "val_error"])
    means = table.groupby(["variant", "epoch"], sort=False)["val_error"].mean()
    return means.reset_index()


def _means_figure(shown: _Shown) -> Any:
    return figures_ablation.means_figure(
        shown.own, _seeds_table(shown), baseline=shown.baseline, n=shown.n, part=_part(shown)
    )


def _part(shown: _Shown) -> str:
    return "Test" if design_of(shown.study).test else "Validation"


def _protocol(design: Design) -> str:
    """Return under which protocol the printed errors stand: never that of this study."""
    return "CIFAR, other recipe" if design.column.startswith("cifar") else "ImageNet, other protocol"


def _figures(shown: _Shown) -> dict[str, str]:
    """Return the figures of the page as JSON text by the id of their element: those that have something to show."""
    own, drawn = shown.own, {}
    measured, printed = own["mean"].notna(), own["printed_error_pct"].notna()
    if measured.any():
        drawn["means"] = _means_figure(shown)
        drawn["cost"] = figures_ablation.cost_figure(
            shown.table, baseline=shown.baseline, n=shown.n, part=_part(shown)
        )
    if own["difference"].notna().any():
        drawn["differences"] = figures_ablation.differences_figure(own, baseline=shown.baseline, n=shown.n)
    if (measured & printed).sum() > 1:
        there = _protocol(design_of(shown.study))
        drawn["order"] = figures_ablation.order_figure(own, there=there)
    if shown.study.spec.recipe.epochs > 1 and not course_table(shown.study).empty:
        drawn["curves"] = figures_ablation.mean_curves_figure(
            _curves_table(shown), baseline=shown.baseline, n=shown.n
        )
    if is_confirmation(shown.study) and measured.any():
        drawn["finalists"] = figures_finalists.finalists_figure(confirmation_table(shown.study))
    return {name: str(figure.to_json()) for name, figure in drawn.items()}


def _content(shown: _Shown, figures: list[str]) -> dict[str, Any]:
    """Return what the templates name beside the findings; figures: those that the page has."""
    study, design = shown.study, design_of(shown.study)
    own, rows = layout(study), _rows(shown)
    return {
        "finalist_words": finalists_words(study) if is_confirmation(study) else [],
        "study": study,
        "spec": study.spec,
        "design": design,
        "confirms": design.of != "",
        "rows": rows,
        "n": shown.n,
        "told": sum(row["told"] is True and not row["same_as"] for row in rows),
        "compared": len(shown.found.summary.differences),
        "done": sum(error is not None for errors in own.errors for error in errors),
        "trainings": len(own.names) * len(own.seeds),
        "seed_words": _range(own.seeds),
        "counted_words": _range(shown.found.summary.blocks),
        "seeds": own.seeds,
        "singles": _singles(shown) if len(own.seeds) <= MANY_SEEDS else {},
        "lost": _lost(study),
        "protocol": _protocol(design),
        "has_printed": any(row["printed_row"] for row in rows),
        "course": _course_words(course_table(study)),
        "part": _part(shown),
        "power": POWER,
        "draws": DRAWS,
        "nearly_equal": NEARLY_EQUAL,
        "figures": figures,
        "plot_height": figures_ablation.rows_height(len(own.names)),
    }


def _signal(study: Study, against: Study | None) -> Signal | None:
    """Return what one training tells here; None for a confirmation, which is about its finalists, and for too few."""
    if against is None and (is_confirmation(study) or not tells(study)):
        return None
    return signal(study, against)


def _lost(study: Study) -> list[dict[str, Any]]:
    """Return the trainings that have no result in the end, with their reasons; equal networks are one."""
    found = {
        record.key: (name, record) for (name, _), record in reversed(cells(study.spec, study.records).items())
    }
    return [
        {"variant": name, "seed": record.seed, "status": record.status, "reason": record.reason}
        for name, record in reversed(found.values())
        if record.status != "complete"
    ]


def _rows(shown: _Shown) -> list[dict[str, Any]]:
    """Return the variants as the page shows them.

    Points for each GFLOP stand there only where the difference does.
    """
    rows = records_of(shown.table)
    for row in rows:
        row["per_gflop"] = row["per_gflop"] if row["told"] else None
        row["said"] = _said(row, shown)
    return rows


def _said(row: Mapping[str, Any], shown: _Shown) -> str:
    """Return the verdict on a variant as a cell of the table has it."""
    if row["same_as"]:
        return f"the same network here as {row['same_as']}"
    if row["variant"] == shown.baseline:
        return "baseline"
    if row["told"]:
        return f"{'lower' if row['difference'] < 0 else 'higher'} than the baseline"
    if row["told"] is False:
        need = f"more than {MOST_SEEDS:,}" if row["n_needed"] is None else f"{row['n_needed']:,.0f}"
        return f"not distinguishable at n = {shown.n}; a difference of this size would take {need} seeds"
    return "no claim" if shown.n == 1 and row["verdict"] else row["verdict"] or ""


def _singles(shown: _Shown) -> dict[str, list[dict[str, Any]]]:
    """Return for each variant of its own what became of it under each seed."""
    rows = records_of(_seeds_table(shown))
    return {name: [row for row in rows if row["variant"] == name] for name in shown.own["variant"]}


def _range(seeds: tuple[int, ...]) -> str:
    """Return whole numbers as words, those in a row by their ends."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return " and ".join(filter(None, [", ".join(map(str, seeds[:-1])), str(seeds[-1])])) if seeds else "none"


def _course_words(course: pd.DataFrame) -> str:
    """Return from which epoch on the best variant is that of the end, and the order of all; empty without a course."""
    if len(course) < 2:
        return ""
    last = course.iloc[-1]
    best = _held_from(course, course["best"] == last["best"])
    order = _held_from(course, course["swapped"] == 0)
    return (
        f"By the means, without a claim: the variant of lowest validation error at the end, {last['best']}, is the "
        f"lowest {best}; the order of all variants is that of the end {order}."
    )


def _held_from(course: pd.DataFrame, held: pd.Series) -> str:
    """Return the first epoch from which on ``held`` is true until the end, in words."""
    first = course[~held]["epoch"].max() + 1 if not held.all() else course["epoch"].iloc[0]
    row = course[course["epoch"] == first].iloc[0]
    if row["epoch"] == len(course):
        return "for good only after the last epoch"
    return f"from epoch {row['epoch']} of {len(course)} on ({row['images']:,} images)"
