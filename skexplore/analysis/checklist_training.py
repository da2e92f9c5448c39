"""Questions of good practice that any training can be asked; see ``checklist_search``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from skexplore.analysis.confirmation import is_confirmation
from skexplore.analysis.findings import spending
from skexplore.analysis.noise import study_noise
from skexplore.analysis.tables import anchors_table
from skexplore.arch import counts_groups
from skexplore.paper import anchor_blocks
from skexplore.study import (
    LEAST_DF,
    PLAIN_BLOCK,
    THEN,
    Record,
    Study,
    again_command,
    devices_of,
    differences,
    train_command,
)
from skexplore.words import counted

ENVIRONMENT = ("python", "torch", "system", "cores", "cpu", "workers")

Answer = tuple[bool | None, str]
Asked = tuple[tuple[str, Callable[[Study, Sequence[Study]], Answer]], ...]


def percent(error: float | None) -> str:
    """Return an error, a fraction 0..1, in %."""
    return "no error yet" if error is None else f"{100 * error:.2f} %"


def numbers(records: Iterable[Record]) -> str:
    """Return the numbers of ``records``."""
    return ", ".join(str(record.number) for record in records)


def trainings(study: Study) -> list[Record]:
    """Return the records that came of a training that did not fail, anchors among them."""
    return [record for record in study.records if record.status in ("complete", "stopped")]


def searches(beside: Sequence[Study]) -> list[Study]:
    """Return the studies beside one that are no confirmation: those whose errors are compared with its own."""
    return [other for other in beside if not is_confirmation(other)]


def _code(study: Study, _: Sequence[Study]) -> Answer:
    version = study.environment.get("skexplore")
    if not version:
        return (
            False,
            f"Not even the version of skexplore is on record. A run by this version notes it: {again_command(study)}",
        )
    return (
        None,
        f"Written by skexplore {version}; whether that code is public is not in the records, so say where.",
    )


def _details(study: Study, _: Sequence[Study]) -> Answer:
    seeds = sorted({record.seed for record in trainings(study)})
    said = f"seed of the study {study.spec.seed}, of trainings {', '.join(map(str, seeds)) or 'none yet'}"
    if not study.command:
        return (
            False,
            f"No command is on record, because the search was started from Python ({said}). "
            f"As a command: {again_command(study)}",
        )
    return True, f"The last command is on record; {said}."


def _same_protocol(study: Study, beside: Sequence[Study]) -> Answer:
    spec, recipe, runs = study.spec, study.spec.recipe, trainings(study)
    if not runs:
        return False, f"Nothing is trained yet. To go on: {again_command(study)}"
    odd = [r for r in runs if r.key != f"{r.net_id}-{recipe.id}-{spec.split.id}-s{r.seed}"]
    if odd:
        anew = train_command(study, odd[0].block)
        return False, f"Measured in another way than the rest: {numbers(odd)}. To repeat it: {anew}"
    names = ", ".join(other.spec.name for other in searches(beside))
    others = f" and, alike, of {names}" if names else ""
    return True, (
        f"{len(runs)} trainings, {sum(r.origin == 'anchor' for r in runs)} of them beside the search{others}: "
        f"{counted(recipe.epochs, 'epoch')} on {spec.split.train_images:,} images of {spec.split.title} "
        f"in {spec.backbone}, batches of {recipe.batch_size}, learning rate {recipe.lr} ({recipe.schedule}), "
        f"recipe {recipe.id}{recipe.extras}."
    )


def _published(study: Study, _: Sequence[Study]) -> Answer:
    spec = study.spec
    published = {
        PLAIN_BLOCK,
        spec.paper_block,
        *(anchor_blocks("all") if counts_groups(spec.reference_body) else ()),
    }
    ids = {spec.at_reference(block).id for block in published}
    rows = [row for row in anchors_table(study).to_dict("records") if row["arch_id"] in ids]
    if not rows:
        both = " && ".join(train_command(study, block) for block in (PLAIN_BLOCK, spec.paper_block))
        return False, f"None. To do it: {both}"
    return True, "; ".join(f"{row['block']} {percent(row['mean'])} (n = {row['n']})" for row in rows) + "."


def _noise(study: Study, _: Sequence[Study]) -> Answer:
    found = study_noise(study)
    if found is None:
        said, missing = "No block beside the search has two seeds.", LEAST_DF
    elif found.least_difference is None:
        said, missing = found.words, LEAST_DF - found.df
    else:
        return True, found.words
    paper = study.spec.paper_block
    there = len({record.seed for record in study.anchors if record.block == paper})
    return False, f"{said} To do it: {train_command(study, paper, seeds=max(1, there) + missing)}"


def _confounders(study: Study, beside: Sequence[Study]) -> Answer:
    here, others = study.environment, searches(beside)
    missing = ["cpu model" if name == "cpu" else name for name in ENVIRONMENT if not here.get(name)]
    if missing:
        there = ", ".join(f"{name} {here[name]}" for name in ENVIRONMENT if here.get(name)) or "nothing"
        anew = again_command(study, f"{study.spec.name}-again")
        return (
            False,
            f"Not on record: {', '.join(missing)}. On record: {there}. A new study notes them: {anew}",
        )
    changed = [f"{name} {value}" for name, value in here.items() if THEN in value]
    if changed:
        return (
            False,
            f"Runs of this study differ: {'; '.join(changed)}. "
            f"To repeat all of it on one machine: {again_command(study)}",
        )
    if len(devices := devices_of(study.records)) > 1:
        return False, (
            f"Trainings on {_devices_words(devices)}: the same one gives other digits on another. To repeat all of it "
            f"on one: {again_command(study, f'{study.spec.name}-again')}"
        )
    odd = [f"{o.spec.name}: {differences(here, o.environment)}" for o in others if o.environment != here]
    if odd:
        again = again_command(next(other for other in others if other.environment != here))
        return False, f"{'; '.join(odd)}. On the same machine, into a new study: {again}"
    said = ", ".join(f"{name} {here[name]}" for name in ENVIRONMENT)
    return True, f"{said}{'; the same in the studies compared' if others else ''}."


def _devices_words(devices: Mapping[str, int]) -> str:
    return " and ".join(f"{name} ({count})" for name, count in devices.items())


def _cost(study: Study, _: Sequence[Study]) -> Answer:
    spent = spending(study)
    images, seconds = (spent[f"search_{unit}"] + spent[f"anchor_{unit}"] for unit in ("images", "seconds"))
    if not images or not seconds:
        return False, f"No training and its time are on record. To go on: {again_command(study)}"
    return True, (
        f"{images:,} images and {seconds / 3600:.2f} hours of training, summed over workers, "
        f"{spent['anchor_images']:,} images of them beside the search; of {spent['proposals']} proposals "
        f"{spent['refused_before_training']} were refused and {spent['replays']} known before any training."
    )


def _failures(study: Study, _: Sequence[Study]) -> Answer:
    bad = [record for record in study.records if record.status in ("failed", "diverged")]
    silent = [record for record in bad if not record.reason]
    if silent:
        return False, f"Trials {numbers(silent)} have no reason; look in workers.log of the study's folder."
    return (
        True,
        f"{len(bad)} of {len(study.records)} records failed or diverged; each is in the tables with its reason.",
    )


def _last_epoch(study: Study, _: Sequence[Study]) -> Answer:
    runs = [r for r in study.records if r.status == "complete" and r.curve and r.val_error is not None]
    if not runs:
        return False, f"No complete training holds its curve. To go on: {again_command(study)}"
    epochs = study.spec.recipe.epochs
    odd = [
        r for r in runs if len(r.curve) != epochs or abs(r.curve[-1].val_error - (r.val_error or 0)) > 1e-9
    ]
    if odd:
        return (
            False,
            f"The error is not the last epoch's of {numbers(odd)}. To repeat it: {train_command(study, odd[0].block)}",
        )
    lower = sum(min(e.val_error for e in r.curve) < r.curve[-1].val_error for r in runs)
    return (
        True,
        f"{len(runs)} errors are those of epoch {epochs}, the last; {lower} curves were lower before.",
    )


def _test_set(study: Study, _: Sequence[Study]) -> Answer:
    split = study.spec.split
    content = split.content
    if split.val_images > content.most_val(split.train_images):
        given = f"{split.train_images:,} and {split.val_images:,} images"
        return (
            False,
            f"Its {given} are more than {content.train + content.val:,}. To repeat it: {again_command(study)}",
        )
    return True, (
        f"Trained on {split.train_images:,} and chosen on {split.val_images:,} images of the training files of "
        f"{split.title}; records have no place for a test error."
    )


TRAININGS: Asked = (
    ("Is the code of training and search public?", _code),
    ("Are command and seeds on record?", _details),
    ("Was everything that is compared trained and judged in the same way?", _same_protocol),
    ("Were published blocks trained in the same way?", _published),
    ("Is the noise of the training seed known?", _noise),
    ("Are versions, hardware and workers on record, and alike?", _confounders),
    ("Is the whole cost reported?", _cost),
    ("Are failures reported?", _failures),
    ("Is each error that of the last epoch, not of the best one?", _last_epoch),
    ("Was the test set left alone?", _test_set),
)
