"""What the report of a search states: counters, cost, front, noise, and what a reader must know before quoting it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from skexplore.analysis.answer import answer_findings
from skexplore.analysis.noise import may_be_best, study_noise
from skexplore.analysis.tables import anchor_table, anchors_table, nearest_row
from skexplore.study import LEAST_AGREEMENT, STATUSES, TRIED, Study, agreement, rung_pairs, trained, unclaimed
from skexplore.words import counted


def counters(study: Study) -> dict[str, int]:
    """Return the counters of the search: asked, trained, target, and each status."""
    statuses = Counter(record.status for record in study.searched)
    return {
        "asked": len(study.searched),
        "trained": trained(study.records),
        "target": study.target,
        "replicates": sum(record.status == "complete" for record in study.replicates),
        **{status: statuses[status] for status in STATUSES},
    }


def spending(study: Study) -> dict[str, Any]:
    """Return what the study cost: images and seconds of training, and the proposals that cost nothing.

    ``free_share`` is the share 0..1 of the sampler's proposals refused before training or answered by a
    measurement that was there already; None before the first proposal.
    """
    search, leaders, anchors = study.searched, study.replicates, study.anchors
    refused = sum(record.status == "over_budget" for record in search)
    replays = sum(record.status == "replay" for record in search)
    return {
        "search_images": sum(record.images for record in (*search, *leaders)),
        "search_seconds": sum(record.seconds for record in (*search, *leaders)),
        "anchor_images": sum(record.images for record in anchors),
        "anchor_seconds": sum(record.seconds for record in anchors),
        "proposals": len(search),
        "refused_before_training": refused,
        "replays": replays,
        "free_share": (refused + replays) / len(search) if search else None,
    }


def search_findings(study: Study) -> dict[str, Any]:
    """Return everything the report states as plain JSON data (the content of ``findings.json``)."""
    found, best, marks = study_noise(study), study.best, may_be_best(study)
    anchors, table = anchors_table(study), anchor_table(study)
    return {
        "study": study.spec.name,
        "state": study.state,
        "command": study.command,
        "spec": _spec(study),
        "counters": counters(study),
        "front": [
            record.row()
            | asdict(study.estimates[record.block])
            | {"may_be_best": marks[record.number], f"nearest_table_{table}": nearest_row(study, record)}
            | ({"ref_latency_ms": record.ref_latency_ms} if study.spec.latency else {})
            for record in study.front
        ],
        "best": best.row() | asdict(study.estimates[best.block]) if best else None,
        "noise": asdict(found) if found else None,
        "ledger": spending(study),
        "anchors": anchors.astype(object).where(anchors.notna(), None).to_dict("records"),
        "answer": answer_findings(study) if study.spec.searches else None,
        "unclaimed": unclaimed(study.model)
        if study.spec.searches and study.best and not study.answer
        else None,
        "environment": dict(sorted(study.environment.items())),
        "notes": notes(study),
    }


def notes(study: Study) -> list[str]:
    """Return what a reader must know before quoting a number, as sentences."""
    spec, count, found = study.spec, counters(study), study_noise(study)
    said = []
    if count["trained"] < count["target"] or count["running"]:
        said.append(f"{count['trained']} of {count['target']} trials are trained (state: {study.state}).")
    if not spec.searches:
        said.append("The blocks were chosen by hand; nothing was searched.")
    elif not study.eligible():
        said.append("No feasible trial is complete yet: there is no front and no best block.")
    else:
        said.append(_what_the_front_is(study))
        said += _lower_anchors(study)
    said.append(
        found.words
        if found
        else "Seed noise is not known (no block has two seeds), so no difference is claimed."
    )
    if study.eligible() and found is not None:
        close = sum(mark is True for mark in may_be_best(study).values()) - 1
        if close > 0:
            said.append(f"Of the front, {counted(close, 'other')} may be the best as well.")
        if not study.modelled:
            said.append(
                "The lowest of many errors is too low by selection: retrain it with other seeds to quote it."
            )
    proxy = f"the proxy {spec.backbone}"
    if spec.decides_body:
        proxy += ", or one that is as much deeper and wider as a trial's body is"
    said.append(
        f"Errors are {spec.split.dataset} validation errors after {counted(spec.recipe.epochs, 'epoch')} on "
        f"{spec.split.train_images:,} images in {proxy}; they say nothing yet about "
        "ImageNet. The test set plays no part in them."
    )
    if count["failed"] or count["diverged"]:
        lost = count["failed"] + count["diverged"]
        said.append(f"{counted(lost, 'trial')} failed or diverged and stay in the table with the reason.")
    said += _rungs(study)
    if count["stopped"]:
        said.append(
            f"{counted(count['stopped'], 'trial')} stopped early; the error is that of the last epoch."
        )
    return said


def _what_the_front_is(study: Study) -> str:
    if not study.modelled:
        return "The front is one of errors as measured, chosen on validation error."
    how = ", each with its 90 % interval" if study.answer else ""
    return (
        f"The front is one of estimated errors{how}: what trainings measured, drawn towards what blocks alike have, so "
        "that the best is not the luckiest."
    )


def _rungs(study: Study) -> list[str]:
    """Say of each rung whether its errors were found to tell, and so whether trials are stopped there."""
    said = []
    for epochs in study.spec.rungs[:-1]:
        where, found = f"after {counted(epochs, 'epoch')}", agreement(rung_pairs(study.searched, epochs))
        if found is None:
            earlier = any(each.status == "stopped" and each.epochs == epochs for each in study.searched)
            what = (
                "trials were stopped by a version that asked no more"
                if earlier
                else "nothing is stopped there yet"
            )
            said.append(f"Rung {where}: fewer than {TRIED} trials have come to the end; {what}.")
            continue
        what = (
            "trials are stopped there"
            if found >= LEAST_AGREEMENT
            else f"below {LEAST_AGREEMENT}, so that none is stopped there"
        )
        said.append(
            f"Rung {where}: in the first {TRIED} whole trials its errors have a correlation of {found:.2f} with the "
            f"final ones; {what}."
        )
    return said


def _lower_anchors(study: Study) -> list[str]:
    """Say which blocks trained beside the search have a lower error than its best, which hides in no plot."""
    best = study.best
    rows = [] if best is None else anchors_table(study).to_dict("records")
    lower = [
        f"{row['name']} ({100 * study.estimates[row['block']].estimate:.2f} %, n = {row['n']})"
        for row in rows
        if best is not None and study.estimates[row["block"]].estimate < study.estimates[best.block].estimate
    ]
    return [f"Lower than every block of the search: {', '.join(lower)}, trained beside it."] if lower else []


def _spec(study: Study) -> dict[str, Any]:
    """Return what was asked for as plain data: tuples become lists, as they are read back."""
    spec: dict[str, Any] = json.loads(json.dumps(asdict(study.spec) | study.spec.stored))
    del spec["ablation"]  # a search has none
    return spec
