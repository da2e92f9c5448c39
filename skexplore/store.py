"""Studies on disk: a folder with an Optuna database while it lives, ``records.jsonl`` once archived."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from skexplore.errors import UserError
from skexplore.files import parse, read_json, read_text, write_atomic
from skexplore.record import Record, Study, StudySpec, trained

DATABASE, RECORDS, DEFINITION, LOCK = "study.db", "records.jsonl", "study.json", "study.lock"
ANCHORS = ".anchors"  # the sibling study that keeps anchors out of the sampler's sight
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

HASH = "records_sha256"
UNBEGUN = "its search was killed before it began; repeat the search command"
DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError)

optuna.logging.set_verbosity(optuna.logging.ERROR)  # progress is ours to tell


def check_name(study: str) -> str:
    """Return ``study`` if it may be the name of a study; raises ``UserError``."""
    if not _NAME.fullmatch(study) or study.endswith(ANCHORS):
        raise UserError(
            f"study name {study!r}: must be 1 to 100 letters, digits, '.', '_' or '-', beginning with a letter "
            f"or digit and not ending in {ANCHORS}"
        )
    return study


def study_folder(study: str) -> Path:
    """Return the folder of a study given by name (under ``studies/``) or by path; raises ``UserError``.

    A plain name that is no study is a folder here, if there is one of that name.
    """
    here = Path(study)
    if "/" in study or study in (".", ".."):
        return here
    named = Path("studies") / study
    return here if study and here.is_dir() and not named.exists() else Path("studies") / check_name(study)


class UnbegunError(UserError):
    """A study whose search was killed before it had written what it was asked for."""


class Store:
    """The coordinator's hold on a live study: takes the lock, is the only writer.

    Use as a context. Opening a study of the same name continues it (see ``check_continues``). Raises
    ``UserError`` when another coordinator is alive or the folder is none of ours; its methods raise one of
    ``DATABASE_ERRORS`` when the database refuses.
    """

    def __init__(self, folder: Path, spec: StudySpec) -> None:
        self.folder, self.spec = folder, spec
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
            with _readable(folder):
                storage = _storage(folder)
                self._main = optuna.create_study(storage=storage, study_name=spec.name, load_if_exists=True)
                self._anchors = optuna.create_study(
                    storage=storage, study_name=spec.name + ANCHORS, load_if_exists=True
                )
                self._main.set_user_attr("spec", asdict(spec))
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._main._storage.remove_session()
        self._lock.release()

    def annotate(self, *, target: int, command: str, environment: Mapping[str, str]) -> None:
        """Store how many trained architectures were asked for, by which command, on what machine."""
        attributes = {
            "target": target,
            "command": command,
            "environment": dict(environment),
            "exhausted": False,
        }
        for name, value in attributes.items():
            self._main.set_user_attr(name, value)

    def note_end(self, *, exhausted: bool) -> None:
        """Store whether the search ended because nothing new came, short of its target."""
        self._main.set_user_attr("exhausted", exhausted)

    def trials(self) -> list[tuple[FrozenTrial, Record]]:
        """Return the sampler's trials with their records, in order."""
        return [(trial, _record(trial)) for trial in self._main.get_trials(deepcopy=False)]

    def anchors(self) -> list[Record]:
        """Return the anchors' records, in order."""
        return [_record(trial) for trial in self._anchors.get_trials(deepcopy=False)]

    def unfinished(self) -> list[Record]:
        """Return the records of trials that have no result yet, anchors first."""
        trials = self._anchors.get_trials(deepcopy=False) + self._main.get_trials(deepcopy=False)
        return [_record(trial) for trial in trials if not trial.state.is_finished()]

    def add(
        self,
        record: Record,
        *,
        state: TrialState,
        value: float | None = None,
        params: Mapping[str, Any] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        """Write a new trial with everything known of it, in one transaction."""
        self._of(record).add_trial(
            create_trial(
                state=state,
                value=value,
                params=dict(params or {}),
                distributions=dict(distributions or {}),
                constraints=dict(constraints or {}),
                user_attrs={"record": record.to_dict()},
            )
        )

    def finish(self, record: Record, *, state: TrialState, value: float | None) -> None:
        """Write the final record of a running trial and close it.

        The record is written first: a trial found with a final record and no state is closed on resume.
        """
        study = self._of(record)
        storage = study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, record.number)
        storage.set_trial_user_attr(trial_id, "record", record.to_dict())
        study.tell(record.number, value, state=state)

    def _of(self, record: Record) -> optuna.Study:
        return self._anchors if record.origin == "anchor" else self._main


def _storage(folder: Path) -> RDBStorage:
    url = f"sqlite:///{(folder / DATABASE).absolute()}"
    return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})


def _record(trial: FrozenTrial) -> Record:
    return parse(Record, trial.user_attrs["record"], f"trial {trial.number}")


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn what a foreign or damaged database raises into a ``UserError``."""
    try:
        yield
    except DATABASE_ERRORS as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise UserError(f"{folder / DATABASE}: cannot be used as a study's database ({cause})") from None


def check_continues(folder: Path, spec: StudySpec) -> StudySpec | None:
    """Return what the study in ``folder`` was asked for before, None if it is new.

    Space, recipe, split, backbone, sampler and seed must be those of ``spec``, else ``UserError``; the budget
    may be another.
    """
    if not (folder / DATABASE).exists():
        if (folder / RECORDS).exists():
            raise UserError(f"{folder} is an archive, which is only read; choose another --study name")
        return None
    try:
        old = _load_live(folder).spec
    except UnbegunError:
        return None
    if old.name != spec.name:
        raise UserError(
            f"{folder / DATABASE}: holds the study {old.name}; give the folder that name again, or choose "
            "another --study name"
        )
    for name in ("space_hash", "backbone", "recipe", "split", "sampler", "seed"):
        was = getattr(old, name)
        if was != getattr(spec, name):
            label, was = ("space", old.space) if name == "space_hash" else (name, was)
            raise UserError(
                f"study {spec.name} exists with another {label} ({was}); its results would not be comparable: "
                "choose another --study name"
            )
    return old


def load_study(study: str) -> Study:
    """Return a study, live or archived, by name or path; raises ``UserError`` if there is none."""
    folder = study_folder(study)
    if (folder / DATABASE).exists():
        return _load_live(folder)
    if (folder / RECORDS).exists():
        return _load_archive(folder)
    known = ", ".join(path.name for path in known_studies()) or "none yet; begin one with skexplore search"
    raise UserError(f"no study at {folder}; studies here: {known}")


def known_studies() -> list[Path]:
    """Return the folders of the studies and archives under ``studies/``."""
    return sorted(
        path for path in Path("studies").glob("*") if (path / DATABASE).exists() or (path / RECORDS).exists()
    )


def _load_live(folder: Path) -> Study:
    with _readable(folder):
        storage = _storage(folder)
        try:
            names = {s.study_name for s in storage.get_all_studies()}
            mains = [name for name in names if not name.endswith(ANCHORS)]
            if not mains:
                raise UnbegunError(f"{folder / DATABASE}: {UNBEGUN}")
            if len(mains) > 1:
                raise UserError(f"{folder / DATABASE}: holds {len(mains)} studies where one was expected")
            main = optuna.load_study(study_name=mains[0], storage=storage)
            attrs, trials = main.user_attrs, main.get_trials(deepcopy=False)
            if mains[0] + ANCHORS in names:
                anchors = optuna.load_study(study_name=mains[0] + ANCHORS, storage=storage)
                trials = anchors.get_trials(deepcopy=False) + trials
        finally:
            storage.remove_session()
    if "spec" not in attrs:
        raise UnbegunError(f"{folder / DATABASE}: {UNBEGUN}")
    records = tuple(_record(trial) for trial in trials)
    return Study(
        spec=parse(StudySpec, attrs["spec"], f"{folder / DATABASE}: spec"),
        records=records,
        target=int(attrs.get("target", 0)),
        environment=attrs.get("environment", {}),
        command=attrs.get("command", ""),
        state=_state(folder, attrs, trained(records)),
    )


def _state(folder: Path, attrs: Mapping[str, Any], done: int) -> str:
    if _is_live(folder):
        return "running"
    if 0 < attrs.get("target", 0) <= done:
        return "finished"
    return "exhausted" if attrs.get("exhausted") else "interrupted"


def _is_live(folder: Path) -> bool:
    lock = FileLock(folder / LOCK)
    try:
        with lock.acquire(timeout=0.2):  # long enough to outwait another reader
            return False
    except Timeout:
        return True
    except OSError:
        return False  # not writable here, so no coordinator of ours either


def _load_archive(folder: Path) -> Study:
    definition, records, text = read_json(folder / DEFINITION), [], read_text(folder / RECORDS)
    if not isinstance(definition, dict) or HASH not in definition:
        raise UserError(f"{folder / DEFINITION}: not the definition of an archive")
    if definition.pop(HASH) != _sha256(text):
        raise UserError(
            f"{folder / RECORDS}: changed since it was archived (its SHA-256 is not the one in {DEFINITION}); "
            "get the original again"
        )
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"{folder / RECORDS}: line {number}"
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: not valid JSON ({error})") from None
        records.append(parse(Record, data, place))
    return parse(Study, definition | {"records": []}, str(folder / DEFINITION)).with_records(records)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def archive(study: str, out: Path | None = None) -> list[Path]:
    """Write ``study.json`` and ``records.jsonl`` of a study (into its own folder by default); return both."""
    loaded, folder = load_study(study), out or study_folder(study)
    definition = asdict(loaded)
    del definition["records"]
    if loaded.state == "running":
        definition["state"] = "interrupted"  # what the archive holds is where it stood
    text = "".join(json.dumps(record.to_dict()) + "\n" for record in loaded.records)
    definition[HASH] = _sha256(text)
    write_atomic(folder / RECORDS, text)
    write_atomic(folder / DEFINITION, json.dumps(definition, indent=2) + "\n")
    return [folder / DEFINITION, folder / RECORDS]
