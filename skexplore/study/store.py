"""Studies as they are read and archived: ``records.jsonl`` is read here, a database by ``reading``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from skexplore.errors import UserError, did_you_mean
from skexplore.files import parse, read_json, read_text, write_atomic
from skexplore.shipped import package_places
from skexplore.study.folder import DEFINITION, RECORDS, STUDIES, check_name, is_begun, study_folder
from skexplore.study.record import Record
from skexplore.study.study import Study

HASH = "records_sha256"
TABLE = ("sk-table", "sk-table-best")  # a table of trained blocks, and the best of them again with more seeds


def load_study(study: str) -> Study:
    """Return a study, live or archived, by name or path; raises ``UserError`` if there is none.

    The studies of ``TABLE`` come with the package: they are found in any folder that has none of their name.
    """
    folder = study_folder(study)
    if is_begun(folder):
        from skexplore.study.reading import load_live  # noqa: PLC0415 - an archive is read without SQLAlchemy

        return load_live(folder)
    for place in (folder, *(own / study for own in package_places("studies") if study in TABLE)):
        if (place / RECORDS).exists():
            return load_archive(place)
    names = [path.name for path in known_studies()]
    known = ", ".join(names) or "none yet; begin one with skexplore search"
    raise UserError(f"no study at {folder}{did_you_mean(study, names)}; studies here: {known}")


def known_studies() -> list[Path]:
    """Return the folders of the studies and archives under ``studies/``."""
    return sorted(path for path in STUDIES.glob("*") if is_begun(path) or (path / RECORDS).exists())


def load_archive(folder: Path) -> Study:
    """Return the archive in ``folder``; raises ``UserError`` if it is damaged or was changed."""
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
    study = parse(Study, definition | {"records": [], "archived": True}, str(folder / DEFINITION))
    check_name(study.spec.name)  # it becomes a folder's
    return study.with_records(records)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def archive(study: str, out: Path | None = None) -> list[Path]:
    """Write ``study.json`` and ``records.jsonl`` of a study (into its own folder by default); return both."""
    loaded, folder = load_study(study), out or study_folder(study)
    definition = asdict(loaded)
    del definition["records"], definition["archived"]
    definition["spec"] |= loaded.spec.stored
    if loaded.state == "running":
        definition["state"] = "interrupted"  # what the archive holds is where it stood
    text = "".join(json.dumps(record.to_dict()) + "\n" for record in loaded.records)
    definition[HASH] = _sha256(text)
    write_atomic(folder / RECORDS, text)
    write_atomic(folder / DEFINITION, json.dumps(definition, indent=2) + "\n")
    return [folder / DEFINITION, folder / RECORDS]
