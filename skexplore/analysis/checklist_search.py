"""Is a study reported honestly? Questions of good practice, answered from its records and those beside it.

After Lindauer and Hutter, "Best Practices for Scientific Research on Neural Architecture Search" (JMLR 21, 2020),
in our own words, with what selection on a validation set asks for besides. Errors are shown in %.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from skexplore.analysis.checklist_training import TRAININGS, Answer, Asked, numbers, percent
from skexplore.analysis.confirmation import confirmed, is_confirmation
from skexplore.analysis.findings import counters
from skexplore.analysis.tables import trained_keys
from skexplore.arch import (
    REFERENCE,
    Backbone,
    Blocks,
    canonical_at_reference,
)
from skexplore.study import (
    REPEATS,
    Study,
    confirm_command,
    report_command,
    search_command,
    stored_space,
    train_command,
    trained,
)

ARCHIVED = " (This is an archive, which is only read: do it where the study is live.)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A question, its answer (None: the records cannot tell) and the numbers or the command behind it."""

    question: str
    done: bool | None
    evidence: str

    @property
    def command(self) -> str:
        """What would answer a question that is not done; empty if it is, or cannot be done here."""
        # it comes last, after all that the records say
        _, found, command = self.evidence.rpartition(": skexplore ")
        ours = self.done is False and found and not command.endswith(ARCHIVED)
        return f"skexplore {command}" if ours else ""


def checklist(study: Study, beside: Sequence[Study] = ()) -> tuple[Item, ...]:
    """Return the checklist of ``study``.

    beside: other studies that its report shows, comparable with it (see ``comparable``). A study of one's own
    trainings, without a search, has only the questions that are asked of trainings.
    """
    ask = SEARCH + TRAININGS if study.spec.searches else TRAININGS
    found = []
    for question, answer in ask:
        done, evidence = answer(study, beside)
        if done is False and study.archived:
            evidence += ARCHIVED
        found.append(Item(question=question, done=done, evidence=evidence))
    return tuple(found)


def _errors(study: Study, network: str, *, but: int | None = None) -> list[float]:
    """Return the errors of complete trainings of a network, each once, without those by the seed ``but``."""
    found = {r.key: r for r in study.records if r.net_id == network and r.status == "complete"}
    return [r.val_error for r in found.values() if r.val_error is not None and r.seed != but]


def _lowest(study: Study) -> str:
    lowest = min((r.val_error for r in study.eligible() if r.val_error is not None), default=None)
    return f"{trained(study.records)} trained, lowest {percent(lowest)}"


def _architectures(study: Study) -> set[str]:
    return {r.arch_id for r in study.searched if r.status in ("complete", "stopped")}


def _alike(study: Study, others: Sequence[Study]) -> list[Study]:
    """Return those of ``others`` that searched the same space within the same limits."""
    spec = study.spec
    return [o for o in others if (o.spec.space_hash, o.spec.bounds) == (spec.space_hash, spec.bounds)]


def _variants(blocks: Blocks, reference: Backbone = REFERENCE) -> list[Blocks]:
    """Return ``blocks`` with one part less: each branch in turn, where there is another, or the attention."""
    most = max(len(block.branches) for block in blocks)
    fewer = [
        tuple(
            replace(b, branches=b.branches[:n] + b.branches[n + 1 :])
            if n < len(b.branches) and len(b.branches) > 1
            else b
            for b in blocks
        )
        for n in range(most)
    ]
    parts = [*fewer, tuple(replace(block, fuse="sum") for block in blocks)]
    forms = (canonical_at_reference(each, reference) for each in parts)
    return [form for form in dict.fromkeys(forms) if form != canonical_at_reference(blocks, reference)]


def _space(study: Study, _: Sequence[Study]) -> Answer:
    spec, space = study.spec, stored_space(study.spec)
    if not space.decisions:
        again = search_command(study, f"{spec.name}-again")
        return False, f"Only its name ({spec.space}) is on record. A search by this version keeps it: {again}"
    return True, (
        f"{spec.space} ({spec.space_hash}) is kept with the records: {len(space.decisions)} decisions, "
        f"{space.raw_size:,} combinations of levels, {len(space.conditions)} conditions; {spec.budget_words}."
    )


def _settings(study: Study, _: Sequence[Study]) -> Answer:
    if study.spec.sampler == "random":
        return True, "Random search has no settings."
    return None, (
        f"The sampler {study.spec.sampler} has the fixed settings of skexplore "
        f"{study.environment.get('skexplore', '(version not noted)')}, none of them chosen by this command; how they "
        "were chosen is not in the records."
    )


def _random(study: Study, others: Sequence[Study]) -> Answer:
    own, name = trained(study.records), study.spec.name
    if study.spec.sampler == "random":
        return True, f"This is random search: {_lowest(study)}."
    rivals = [other for other in _alike(study, others) if other.spec.sampler == "random"]
    if not rivals:
        command = search_command(study, f"{name}-random", sampler="random", trials=max(own, study.target))
        report = report_command(study, f"{name}-random")
        return (
            False,
            f"No random search of this space and budget is beside it. To do it: {command} && {report}",
        )
    measured = trained_keys(study)
    rival = max(rivals, key=lambda other: len(trained_keys(other) - measured))
    both, shared = _architectures(study) & _architectures(rival), len(measured & trained_keys(rival))
    said = f"{rival.spec.name}: {_lowest(rival)}; here {_lowest(study)}; {len(both)} blocks are the same."
    if both == _architectures(study):
        more = search_command(study, trials=own + 10)
        return False, f"{said} Nothing else was tried here, so nothing is compared. To go on: {more}"
    if shared:
        said += (
            f" {shared} of the {len(measured)} trainings here are shared: the same network, recipe and seed."
        )
    if 2 * shared > len(measured):
        seed = 1 + max(study.spec.seed, rival.spec.seed)
        other = f"{name}-random-s{seed}"
        command = search_command(study, other, sampler="random", seed=seed, trials=max(own, study.target))
        return False, (
            f"{said} Only {len(measured) - shared} are compared, fewer than half; another seed shares none. "
            f"To do it: {command} && "
            f"{report_command(study, other)}"
        )
    if trained(rival.records) >= max(own, 1):
        return True, said
    return False, f"{said} It needs as many trainings: {search_command(rival, trials=max(own, 1))}"


def _runs(study: Study, others: Sequence[Study]) -> Answer:
    spec = study.spec
    same = [o for o in _alike(study, others) if (o.spec.sampler, o.spec.mode) == (spec.sampler, spec.mode)]
    runs = {run.spec.seed: run for run in [*same, study] if trained(run.records)}
    said = "; ".join(f"seed {seed}: {_lowest(run)}" for seed, run in sorted(runs.items()))
    if len(runs) >= REPEATS:
        return True, f"{len(runs)} runs. {said}."
    seed = next(seed for seed in range(len(runs) + 2) if seed not in {*runs, spec.seed})
    name = f"{spec.name}-s{seed}"
    return False, (
        f"{len(runs)} of at least {REPEATS} runs{f' ({said})' if said else ''}. To do it: "
        f"{search_command(study, name, seed=seed)} && {report_command(study, name)}"
    )


def _ablation(study: Study, _: Sequence[Study]) -> Answer:
    best = study.best
    if best is None:
        return False, f"There is no best block yet. To go on: {search_command(study)}"
    own = study.spec.at_reference(best.block)
    variants = [replace(own, blocks=form) for form in _variants(own.blocks, own.backbone)]
    if not variants:
        return True, f"The best block, {best.block}, is one convolution: no part of it can be left out."
    spec = study.spec
    found = {spec.text_of(each): _errors(study, spec.proxy(each).id) for each in variants}
    said = "; ".join(
        f"{block} {percent(statistics.fmean(errors))} (n = {len(errors)})"
        for block, errors in found.items()
        if errors
    )
    missing = [train_command(study, block) for block, errors in found.items() if len(errors) < REPEATS]
    done = len(found) - len(missing)
    text = f"{done} of {len(found)} blocks with one part less than {best.block} have {REPEATS} trainings"
    return not missing, f"{text}{f': {said}' if said else ''}." + (
        f" To do it: {' && '.join(missing)}" if missing else ""
    )


def _retrained(study: Study, beside: Sequence[Study]) -> Answer:
    best, name = study.best, study.spec.name
    if best is None:
        return False, f"There is no best block yet. To go on: {search_command(study)}"
    said = f"Trial {best.number}, {best.block}: {percent(best.val_error)} in the search, "
    for confirmation in beside:
        for row in confirmed(confirmation, best):
            said += (
                f"{percent(row['val_mean'])} on validation and {percent(row['test_mean'])} on test over n = {row['n']} "
                f"fresh seeds, trained longer ({confirmation.spec.name})."
            )
            return row["n"] >= REPEATS, said if row[
                "n"
            ] >= REPEATS else f"{said} To go on: {confirm_command(study)}"
    fresh = {r.number: _errors(study, r.net_id, but=r.seed) for r in study.front}
    whole = sum(len(errors) >= REPEATS for errors in fresh.values())
    errors = fresh.get(best.number) or _errors(study, best.net_id, but=best.seed)
    said += (
        f"{percent(statistics.fmean(errors))} over n = {len(errors)} other seeds"
        if errors
        else "no other seed"
    )
    said += f"; of the front, {whole} of {len(fresh)} blocks have {REPEATS} other seeds."
    if len(errors) >= REPEATS:
        return True, said
    older = any(
        is_confirmation(each) for each in beside
    )  # it keeps its finalists: this one needs another name
    other = f"{name}-confirm-{best.number}" if older else None
    report = report_command(study, other or f"{name}-confirm")
    return False, f"{said} To do it: {confirm_command(study, other)} && {report}"


def _course(study: Study, _: Sequence[Study]) -> Answer:
    runs = [r for r in study.searched if r.status in ("complete", "stopped") and r.images]
    lost = [r for r in runs if not r.curve or not r.seconds]
    if not runs:
        return False, f"Nothing is trained yet. To go on: {search_command(study)}"
    if lost:
        again = search_command(study, f"{study.spec.name}-again")
        return False, f"No curve or no time is on record of trials {numbers(lost)}. To do it: {again}"
    return True, f"{len(runs)} trainings hold images, seconds and the error after each epoch, in their order."


def _ended(study: Study, _: Sequence[Study]) -> Answer:
    count = counters(study)
    said = f"{count['trained']} of {count['target']} trials trained, {count['running']} unfinished"
    said += f" (state: {study.state})."
    if count["trained"] >= max(1, count["target"]) and not count["running"]:
        return True, said
    if study.state == "exhausted" and not count["running"]:
        return True, f"{said} The sampler found nothing new within the limits any more."
    return False, f"{said} To go on: {search_command(study)}"


SEARCH: Asked = (
    ("Is the exact search space on record?", _space),
    ("Is it known how the sampler's own settings were chosen?", _settings),
    ("Is random search compared, with as many trainings?", _random),
    ("Was the search run several times, by different seeds?", _runs),
    ("Is it shown which parts of the best block matter?", _ablation),
    ("Was the best block trained again by seeds that did not choose it?", _retrained),
    ("Can quality be followed over cost?", _course),
    ("Did the search finish?", _ended),
)
