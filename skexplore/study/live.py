"""The writer of a live study: an Optuna database, of which one coordinator has hold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from skexplore.errors import UserError
from skexplore.files import parse
from skexplore.study.database import engine_options, hide_password, keep_url, readable, url_of
from skexplore.study.folder import ANCHORS, LOCK, is_begun
from skexplore.study.record import THEN, Record
from skexplore.study.spec import StudySpec

DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError)

METRICS = ("val error", "reference GFLOPs")  # what Optuna's own plots call the objectives

optuna.logging.set_verbosity(optuna.logging.ERROR)  # progress is ours to tell


def directions(spec: StudySpec) -> list[StudyDirection]:
    """Return what Optuna is to do with the objectives: error, and in Pareto mode macs too."""
    return [StudyDirection.MINIMIZE] * (2 if spec.mode == "pareto" else 1)


class Store:
    """The coordinator's hold on a live study: takes the lock, is the only writer.

    Use as a context. Opening a study of the same name continues it (see ``check_continues``). Raises
    ``UserError`` when another coordinator is alive or the folder is none of ours; its methods raise one of
    ``DATABASE_ERRORS`` when the database refuses.
    """

    def __init__(self, folder: Path, spec: StudySpec, storage: str | None = None) -> None:
        self.folder, self.spec = folder, spec
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            self._lock.acquire(timeout=1)  # a reader holds it for a moment
        except Timeout:
            raise UserError(
                f"study {spec.name} has a live coordinator already; watch it with: skexplore status {spec.name}"
            ) from None
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
        try:
            with readable(folder, DATABASE_ERRORS, storage):
                url = storage or url_of(folder)
                database = RDBStorage(url, engine_kwargs=engine_options(url))
                if storage is not None and not is_begun(folder):
                    _check_free(database, spec.name, storage)
                self._main = optuna.create_study(
                    storage=database, study_name=spec.name, load_if_exists=True, directions=directions(spec)
                )
                self._beside = optuna.create_study(
                    storage=database, study_name=spec.name + ANCHORS, load_if_exists=True
                )
                if storage is not None:
                    keep_url(folder, storage)
                self._main.set_user_attr("spec", asdict(spec))
                with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                    self._main.set_metric_names(list(METRICS[: len(self._main.directions)]))
        except BaseException:
            if not is_begun(folder):
                self._leave_nothing(made)
            self._lock.release()
            raise

    def _leave_nothing(self, made: Sequence[Path]) -> None:
        """Remove the lock of a study that was refused, and the folders made for it, innermost first."""
        with suppress(OSError):  # what somebody else has put there in the meantime stays
            (self.folder / LOCK).unlink()
            for each in made:
                each.rmdir()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._main._storage.remove_session()
        finally:
            self._lock.release()

    def annotate(self, *, target: int, replicates: int, command: str, environment: Mapping[str, str]) -> None:
        """Store how many trainings were asked for, how many of them replicates, by which command, on what machine."""
        self.note_environment(environment)
        noted = {"target": target, "replicates": replicates, "command": command, "exhausted": False}
        for name, value in noted.items():
            self._main.set_user_attr(name, value)

    def note_environment(self, environment: Mapping[str, str]) -> None:
        """Store versions and machine of this run; what was another before, or not noted, stays beside it."""
        noted = self._main.user_attrs.get("environment", {})
        now = dict(noted)
        for name, value in environment.items():
            before = noted.get(name, "not noted").split(THEN) if noted else []
            now[name] = THEN.join(before if value in before else [*before, value])
        self._main.set_user_attr("environment", now)

    def note_end(self, *, exhausted: bool) -> None:
        """Store whether the search ended because nothing new came, short of its target."""
        self._main.set_user_attr("exhausted", exhausted)

    def trials(self) -> list[tuple[FrozenTrial, Record]]:
        """Return the sampler's trials with their records, in order."""
        return [(trial, _record(trial)) for trial in self._main.get_trials(deepcopy=False)]

    def beside(self) -> list[Record]:
        """Return the records of anchors and replicates, in order."""
        return [_record(trial) for trial in self._beside.get_trials(deepcopy=False)]

    def unfinished(self) -> list[Record]:
        """Return the records of trials that have no result yet, anchors first."""
        trials = self._beside.get_trials(deepcopy=False) + self._main.get_trials(deepcopy=False)
        return [_record(trial) for trial in trials if not trial.state.is_finished()]

    def add(
        self,
        record: Record,
        *,
        state: TrialState,
        values: Sequence[float] | None = None,
        params: Mapping[str, Any] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        constraints: Mapping[str, float] | None = None,
        system_attrs: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a new trial with everything known of it, in one transaction."""
        self._of(record).add_trial(
            create_trial(
                state=state,
                values=values,
                params=dict(params or {}),
                distributions=dict(distributions or {}),
                constraints=dict(constraints or {}),
                system_attrs=dict(system_attrs or {}),
                user_attrs=_seen(record, self.spec) | {"record": record.to_dict()},
            )
        )

    def update(self, record: Record) -> None:
        """Write the record of a running trial anew."""
        study = self._of(record)
        for name, value in (("record", record.to_dict()), ("status", record.status)):
            study._storage.set_trial_user_attr(_trial_id(study, record), name, value)

    def finish(
        self,
        record: Record,
        *,
        state: TrialState,
        values: Sequence[float] | None,
        steps: Mapping[int, float],
    ) -> None:
        """Write the final record of a running trial, its error after so many epochs (``steps``), and close it.

        The record is written first: a trial found with a final record and no state is closed on resume.
        """
        study = self._of(record)
        self.update(record)
        for step, value in steps.items():
            study._storage.set_trial_intermediate_value(_trial_id(study, record), step, value)
        study.tell(record.number, values, state=state)

    def _of(self, record: Record) -> optuna.Study:
        return self._beside if record.beside else self._main


def _trial_id(study: optuna.Study, record: Record) -> int:
    return study._storage.get_trial_id_from_study_id_trial_number(study._study_id, record.number)


def _seen(record: Record, spec: StudySpec) -> dict[str, Any]:
    """Return what Optuna's own tools can plot and filter by, beside the whole ``record``, which alone is read here."""
    costs = {"reference GFLOPs": record.ref_macs / 1e9, "reference params (M)": record.ref_params / 1e6}
    names = {"block": record.block, "status": record.status, "seed": record.seed}
    made_of = {name: value for name, value in spec.traits(record).items() if value is not None}
    return names | made_of | costs | {"proxy multiply-adds": record.proxy_macs}


def _record(trial: FrozenTrial) -> Record:
    return parse(Record, trial.user_attrs["record"], f"trial {trial.number}")


def _check_free(database: RDBStorage, name: str, url: str) -> None:
    """Refuse a study of another folder, or of somebody else, in a shared database: the lock is the folder's."""
    if name in {study.study_name for study in database.get_all_studies()}:
        raise UserError(
            f"{hide_password(url)} holds a study {name} that was begun in another folder; go on there, or choose "
            "another --study name"
        )
