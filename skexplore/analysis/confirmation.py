"""What a confirmation says of a search's finalists: then and now, on validation and on test, beside the anchors."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from skexplore.analysis.ablation import design_of, layout, records_of, same_networks
from skexplore.analysis.dunnett import Difference, Summary, VariantStats, describe, summarise
from skexplore.arch import arch_id
from skexplore.study import PAPER, PLAIN_BLOCK, Record, Study, Variant

COLUMNS = (
    "variant", "role", "n", "searched_error", "val_mean", "test_mean", "test_sd", "test_low", "test_high",
    "lead_searched", "lead_val", "lead_test", "shrinkage",
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
        and each.name not in (PAPER, PLAIN_BLOCK)  # these have errors as anchors, too
    )


def confirmed(study: Study, trial: Record) -> list[dict[str, Any]]:
    """Return the row of a trial's block in the table of a confirmation: none where ``study`` does not have it."""
    if not is_confirmation(study):
        return []
    names = {each.name for each in design_of(study).variants if arch_id(each.block) == trial.arch_id}
    return [row for row in records_of(confirmation_table(study)) if row["variant"] in names]


def summaries(study: Study) -> dict[str, Summary]:
    """Return the statistics of the validation errors and of the test errors, these against either anchor."""
    test = layout(study, error="test_error")
    same = same_networks(study)
    return {
        "val": summarise(layout(study)),
        PAPER: summarise(replace(test, baseline=same[PAPER] or PAPER)),
        PLAIN_BLOCK: summarise(replace(test, baseline=same[PLAIN_BLOCK] or PLAIN_BLOCK)),
    }


def confirmation_table(study: Study) -> pd.DataFrame:
    """Return one row for each block with ``COLUMNS``; errors are fractions, differences below 0 are lower errors.

    searched_error: validation error of the search (of anchors the mean over their seeds). lead_*: how much lower than
    the paper's block, in the search, on validation now and on test now. shrinkage: the lead of the search less that on
    test; K3's tells what longer training and other images do to a lead that nobody selected.
    """
    found, design, same = summaries(study), design_of(study), same_networks(study)
    val, test = _by_name(found["val"]), _by_name(found[PAPER])
    gaps = {block: {each.name: each for each in found[block].differences} for block in (PAPER, PLAIN_BLOCK)}
    searched = {variant.name: variant.searched_error for variant in design.variants}
    rows = []
    for variant in design.variants:
        name = same[variant.name] or variant.name
        row: dict[str, Any] = {"variant": variant.name, "role": variant.role, "n": found[PAPER].n}
        row["searched_error"] = variant.searched_error
        row["val_mean"] = val[name].mean if name in val else None
        if name in test:
            own = test[name]
            row |= {"test_mean": own.mean, "test_sd": own.sd, "test_low": own.low, "test_high": own.high}
        row |= _gap("to_paper", gaps[PAPER].get(name), found[PAPER].n, "the paper's block")
        row |= _gap("to_plain", gaps[PLAIN_BLOCK].get(name), found[PLAIN_BLOCK].n, "K3")
        # means are of the same seeds only where some seeds are complete
        papers = val.get(same[PAPER] or PAPER) if found["val"].n else None
        row |= _leads(variant, searched[PAPER], val.get(name), papers, row.get("to_paper"))
        rows.append({column: row.get(column) for column in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _leads(
    variant: Variant,
    paper: float | None,
    own: VariantStats | None,
    papers: VariantStats | None,
    to_paper: float | None,
) -> dict[str, Any]:
    """Return a block's leads over the paper's block then and now, where they are known."""
    found: dict[str, Any] = {}
    if variant.name == PAPER:
        return found
    if own is not None and papers is not None:
        found["lead_val"] = papers.mean - own.mean
    if to_paper is not None:
        found["lead_test"] = -to_paper
    if variant.searched_error is not None and paper is not None:
        found["lead_searched"] = paper - variant.searched_error
        if to_paper is not None:
            found["shrinkage"] = found["lead_searched"] - found["lead_test"]
    return found


def _by_name(summary: Summary) -> dict[str, VariantStats]:
    return {each.name: each for each in summary.variants}


def _gap(name: str, found: Difference | None, n: int, baseline: str) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        name: found.difference,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_verdict": describe(found, n, baseline),
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
