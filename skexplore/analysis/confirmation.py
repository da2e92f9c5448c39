"""What a confirmation says of a search's finalists: then and now, on validation and on test, beside the anchors."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from scipy import stats as scipy_stats

from skexplore.analysis.ablation import design_of, layout, records_of, same_networks
from skexplore.analysis.dunnett import Difference, Summary, VariantStats, describe, summarise
from skexplore.study import PLAIN_BLOCK, Design, Record, Study, Variant

PAPER, PLAIN = "paper", "plain"  # the two that finalists are compared with
_SAID = {PAPER: "the paper's block", PLAIN: "K3"}
COLUMNS = (
    "variant", "role", "n", "searched_error", "val_mean", "test_mean", "test_sd", "test_low", "test_high",
    "lead_searched", "lead_val", "lead_test", "shrinkage", "shrinkage_low", "shrinkage_high",
    "to_paper", "to_paper_low", "to_paper_high", "to_paper_verdict",
    "to_plain", "to_plain_low", "to_plain_high", "to_plain_verdict",
)  # fmt: skip


def is_confirmation(study: Study) -> bool:
    """Return whether ``study`` confirms the finalists of a search."""
    return study.spec.ablation is not None and bool(study.spec.ablation.of)


def confirms(study: Study, search: Study) -> bool:
    """Return whether ``study`` confirms this very search: its finalists are trials of it, with their errors."""
    design = study.spec.ablation
    if design is None or design.of != search.spec.name:
        return False
    trials = {(record.block, record.val_error) for record in search.records}
    return all(
        (each.block, each.searched_error) in trials
        for each in design.variants
        if each.role == "finalist"
        and each.name not in _anchors(design).values()  # these have errors as anchors, too
    )


def confirmed(study: Study, trial: Record) -> list[dict[str, Any]]:
    """Return the row of a trial's block in the table of a confirmation: none where ``study`` does not have it."""
    if not is_confirmation(study):
        return []
    names = {each.name for each in design_of(study).variants if each.architecture.id == trial.arch_id}
    return [row for row in records_of(confirmation_table(study)) if row["variant"] in names]


def _anchors(design: Design) -> dict[str, str]:
    """Return the names of the two anchors: the paper's block is the baseline."""
    return {PAPER: design.baseline, PLAIN: PLAIN_BLOCK}


def summaries(study: Study) -> dict[str, Summary]:
    """Return the statistics of the validation errors and of the test errors, these against either anchor.

    Test errors are compared one by one: see ``_in_sequence``.
    """
    test = layout(study, error="test_error")
    same = same_networks(study)
    return {"val": summarise(layout(study))} | {
        anchor: summarise(replace(test, baseline=same[name] or name), together=False)
        for anchor, name in _anchors(design_of(study)).items()
    }


def confirmation_table(study: Study) -> pd.DataFrame:
    """Return one row for each block with ``COLUMNS``; errors are fractions, differences below 0 are lower errors.

    searched_error: what the search believed of the validation error (where it believed nothing: measured, of anchors
    the mean over their seeds). lead_*: how much lower than the paper's block, in the search, on validation now and on
    test now. shrinkage: the lead of the search less that on test, with a 95 % interval where the search gave its own;
    K3's tells what longer training and other images do to a lead that nobody selected. Finalists are tested in the
    order of the design, which was frozen before training: each at 5 %, as long as those before it are distinguishable.
    """
    found, design, same = summaries(study), design_of(study), same_networks(study)
    val, test = _by_name(found["val"]), _by_name(found[PAPER])
    gaps = {anchor: {each.name: each for each in found[anchor].differences} for anchor in _SAID}
    said = {
        anchor: _in_sequence(design, found[anchor], gaps[anchor], same, words)
        for anchor, words in _SAID.items()
    }
    by_name = {variant.name: variant for variant in design.variants}
    rows = []
    for variant in design.variants:
        name = same[variant.name] or variant.name
        row: dict[str, Any] = {"variant": variant.name, "role": variant.role, "n": found[PAPER].n}
        row["searched_error"] = _then(variant)
        row["val_mean"] = val[name].mean if name in val else None
        if name in test:
            own = test[name]
            row |= {"test_mean": own.mean, "test_sd": own.sd, "test_low": own.low, "test_high": own.high}
        row |= _gap("to_paper", gaps[PAPER].get(name), said[PAPER].get(variant.name))
        row |= _gap("to_plain", gaps[PLAIN].get(name), said[PLAIN].get(variant.name))
        # means are of the same seeds only where some seeds are complete
        papers = val.get(same[design.baseline] or design.baseline) if found["val"].n else None
        row |= _leads(variant, by_name[design.baseline], val.get(name), papers, row.get("to_paper"))
        row |= _shrunk(variant, by_name[design.baseline], row.get("shrinkage"), found[PAPER])
        rows.append({column: row.get(column) for column in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _then(variant: Variant) -> float | None:
    """Return what the search said of the validation error of a block."""
    return variant.searched_error if variant.believed is None else variant.believed


def _in_sequence(
    design: Design,
    summary: Summary,
    gaps: Mapping[str, Difference],
    same: Mapping[str, str],
    baseline: str,
) -> dict[str, str]:
    """Return what can be said of each finalist's difference to an anchor, in the order of the design.

    That order was there before the first training, so that each may be tested at 5 %: a first that is not
    distinguishable ends the sequence (fixed-sequence test, Maurer, Hothorn and Lehmacher 1995).
    """
    said, ended_by = {}, ""
    for variant in design.variants:
        gap = gaps.get(same[variant.name] or variant.name)
        if variant.role != "finalist" or gap is None:
            continue
        if ended_by:
            side = "lower" if gap.difference < 0 else "higher"
            said[variant.name] = (
                f"{abs(100 * gap.difference):.2f} points {side} than {baseline}, not tested: {ended_by} comes before it"
            )
            continue
        said[variant.name] = describe(gap, summary.n, baseline)
        ended_by = variant.name if gap.distinguishable is False else ""
    return said


def _shrunk(variant: Variant, paper: Variant, shrinkage: float | None, test: Summary) -> dict[str, Any]:
    """Return the 95 % interval of a shrinkage: of what the search believed, and of the test errors (Satterthwaite).

    The two beliefs are taken as independent; they share a model, so that the interval is a little wide.
    """
    if shrinkage is None or variant.believed_sd is None or paper.believed_sd is None or not test.residual_sd:
        return {}
    now = 2 * test.residual_sd**2 / test.n
    both = variant.believed_sd**2 + paper.believed_sd**2 + now
    half = float(scipy_stats.t.isf(0.025, test.df * (both / now) ** 2)) * math.sqrt(both)
    return {"shrinkage_low": shrinkage - half, "shrinkage_high": shrinkage + half}


def _leads(
    variant: Variant,
    paper: Variant,
    own: VariantStats | None,
    papers: VariantStats | None,
    to_paper: float | None,
) -> dict[str, Any]:
    """Return a block's leads over the paper's block then and now, where they are known."""
    found: dict[str, Any] = {}
    if variant.name == paper.name:
        return found
    if own is not None and papers is not None:
        found["lead_val"] = papers.mean - own.mean
    if to_paper is not None:
        found["lead_test"] = -to_paper
    then, papers_then = _then(variant), _then(paper)
    if then is not None and papers_then is not None:
        found["lead_searched"] = papers_then - then
        if to_paper is not None:
            found["shrinkage"] = found["lead_searched"] - found["lead_test"]
    return found


def _by_name(summary: Summary) -> dict[str, VariantStats]:
    return {each.name: each for each in summary.variants}


def _gap(name: str, found: Difference | None, verdict: str | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        name: found.difference,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_verdict": verdict,
    }


def finalists_words(study: Study) -> list[str]:
    """Return one sentence for each finalist: what the statistics of the test errors allow to be said."""
    table, same = confirmation_table(study), same_networks(study)
    return [
        _words(row, same[str(row["variant"])])
        for row in table[table["role"] == "finalist"].to_dict("records")
    ]


def _words(row: Mapping[Hashable, Any], same: str) -> str:
    """Return what can be said of one finalist; ``same``: the block of which it is the very network here."""
    name = row["variant"]
    if pd.isna(row["test_mean"]):
        return f"{name}: no result under any seed."
    count = f" (n = {row['n']})" if row["n"] else ", not under the seeds of all blocks"
    then = "" if pd.isna(row["searched_error"]) else f"{100 * row['searched_error']:.2f} % in the search, "
    val, test = (f"{100 * row[f'{part}_mean']:.2f} %" for part in ("val", "test"))
    parts = [f"{name}: {then}{val} on validation and {test} on test now{count}"]
    if same:
        parts.append(f"in this proxy it is the same network as {same}")
    if not pd.isna(row["shrinkage"]):
        then, val, test = (_side(100 * row[f"lead_{when}"]) for when in ("searched", "val", "test"))
        parts.append(
            f"it was {then} the paper's block in the search, and is {val} it on validation and {test} it on test now"
        )
    parts += [row[key] for key in ("to_paper_verdict", "to_plain_verdict") if isinstance(row[key], str)]
    return "; ".join(parts) + "."


def _side(lead: float) -> str:
    return f"{abs(lead):.2f} points {'ahead of' if lead >= 0 else 'behind'}"
