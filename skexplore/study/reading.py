"""Live studies as they are read: their rows in Optuna's tables, without Optuna, which takes a second to load.

The tables and columns are those of Optuna 5; a test writes by Optuna and reads here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, column, create_engine, inspect, join, select, table

from skexplore.errors import UserError
from skexplore.files import parse
from skexplore.study.database import engine_options, readable, url_of
from skexplore.study.folder import ANCHORS, DATABASE, LOCK, STORAGE
from skexplore.study.record import Record
from skexplore.study.spec import StudySpec
from skexplore.study.study import Study, cells, trained

NOT_BEGUN = "its search was killed before it began; repeat the search command"
_STUDIES = table("studies", column("study_id"), column("study_name"))
_OF_STUDY = table("study_user_attributes", column("study_id"), column("key"), column("value_json"))
_TRIALS = table("trials", column("trial_id"), column("study_id"), column("number"))
_OF_TRIAL = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))


class NotBegunError(UserError):
    """A study whose search was killed before it had written what it was asked for."""


def load_live(folder: Path) -> Study:
    """Return the study that lives in ``folder``; raises ``UserError`` if its database cannot be read."""
    with readable(folder):
        url = url_of(folder)
        engine = create_engine(url, **engine_options(url))
        try:
            with engine.connect() as database:
                attrs, written = _read(database, folder)
        finally:
            engine.dispose()
    if "spec" not in attrs:
        raise NotBegunError(f"{folder / DATABASE}: {NOT_BEGUN}")
    records = tuple(parse(Record, found, f"{folder / DATABASE}: a record") for found in written)
    spec = parse(StudySpec, attrs["spec"], f"{folder / DATABASE}: spec")
    return Study(
        spec=spec,
        records=records,
        target=int(attrs.get("target", 0)),
        asked_replicates=int(attrs.get("replicates", 0)),
        environment=attrs.get("environment", {}),
        command=attrs.get("command", ""),
        state=_state(folder, spec, attrs, records),
    )


def _read(database: Connection, folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return what is noted of the study in ``folder``, and its records in order, anchors first."""
    if not _has_tables(database):
        raise NotBegunError(f"{folder / DATABASE}: {NOT_BEGUN}")
    rows = database.execute(select(_STUDIES.c.study_name, _STUDIES.c.study_id))
    studies: dict[str, int] = {row.study_name: row.study_id for row in rows}
    mains = [name for name in studies if not name.endswith(ANCHORS)]
    if (folder / STORAGE).exists():  # a database of many studies: this one's has the folder's name
        mains = [name for name in mains if name == folder.absolute().name]
    if not mains:
        raise NotBegunError(f"{folder / DATABASE}: {NOT_BEGUN}")
    if len(mains) > 1:
        raise UserError(f"{folder / DATABASE}: holds {len(mains)} studies where one was expected")
    noted = select(_OF_STUDY.c.key, _OF_STUDY.c.value_json).where(_OF_STUDY.c.study_id == studies[mains[0]])
    attrs = {key: json.loads(value) for key, value in database.execute(noted)}
    main = _records(
        database, studies[mains[0]]
    )  # read first: what it points to among the anchors is there by then
    beside = mains[0] + ANCHORS
    return attrs, (_records(database, studies[beside]) if beside in studies else []) + main


def _has_tables(database: Connection) -> bool:
    """Whether Optuna has begun here: a kill may come between the file and the first table."""
    return inspect(database).has_table(_STUDIES.name)


def _records(database: Connection, study: int) -> list[Any]:
    asked = (
        select(_OF_TRIAL.c.value_json)
        .select_from(join(_TRIALS, _OF_TRIAL, _TRIALS.c.trial_id == _OF_TRIAL.c.trial_id))
        .where(_TRIALS.c.study_id == study, _OF_TRIAL.c.key == "record")
        .order_by(_TRIALS.c.number)
    )
    return [json.loads(value) for value in database.scalars(asked)]


def _state(folder: Path, spec: StudySpec, attrs: Mapping[str, Any], records: Sequence[Record]) -> str:
    if _is_live(folder):
        return "running"
    waiting = any(record.status == "running" for record in records)
    if spec.ablation:
        done = [record for record in cells(spec, records).values() if record.status != "failed"]
        return "interrupted" if waiting or len(done) < spec.ablation.trainings else "finished"
    if "target" in attrs and attrs["target"] <= trained(records) and not waiting:
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
