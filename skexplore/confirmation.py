"""What a confirmation says of a search's finalists: then and now, on validation and on test, beside the anchors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from skexplore.design import PAPER, PLAIN_BLOCK
from skexplore.effects import design_of, layout, same_networks
from skexplore.inference import Difference, Summary, VariantStats, describe, summarise
from skexplore.record import Study

COLUMNS = (
    "variant", "role", "n", "searched_error", "val_mean", "test_mean", "test_sd", "test_low", "test_high", "shrinkage",
    "lead_searched", "to_paper", "to_paper_low", "to_paper_high", "to_paper_verdict",
    "to_plain", "to_plain_low", "to_plain_high", "to_plain_verdict",
)  # fmt: skip


def is_confirmation(study: Study) -> bool:
    """Return whether ``study`` confirms the finalists of a search."""
    return study.spec.ablation is not None and bool(study.spec.ablation.of)


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

    searched_error: validation error of the search (of anchors the mean over their seeds). shrinkage: how much of the
    lead over the paper's block that a finalist had in the search is gone on the test set.
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
        then, paper = variant.searched_error, searched[PAPER]
        if then is not None and paper is not None and variant.name != PAPER:
            row["lead_searched"] = paper - then
            if variant.role == "finalist" and row.get("to_paper") is not None:
                row["shrinkage"] = row["lead_searched"] + row["to_paper"]
        rows.append({column: row.get(column) for column in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS))


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
    said = []
    table = confirmation_table(study)
    for row in table[table["role"] == "finalist"].to_dict("records"):
        name = row["variant"]
        if pd.isna(row["test_mean"]):
            said.append(f"{name}: not trained with every seed yet.")
            continue
        then = (
            "" if pd.isna(row["searched_error"]) else f"{100 * row['searched_error']:.2f} % in the search, "
        )
        val, test = 100 * row["val_mean"], 100 * row["test_mean"]
        parts = [f"{name}: {then}{val:.2f} % on validation and {test:.2f} % on test now"]
        if not pd.isna(row["shrinkage"]):
            lead, now = 100 * row["lead_searched"], -100 * row["to_paper"]
            parts.append(
                f"its lead over the paper's block was {lead:.2f} points in the search and is {now:.2f} now"
            )
        parts += [row[key] for key in ("to_paper_verdict", "to_plain_verdict") if isinstance(row[key], str)]
        said.append("; ".join(parts) + ".")
    return said
