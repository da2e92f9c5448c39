"""The folder of a study: its name, the files in it, and whether a study lives there."""

from __future__ import annotations

import re
from pathlib import Path

from skexplore.errors import UserError

STUDIES = Path("studies")  # of the current folder
DATABASE, STORAGE, LOCK = (
    "study.db",
    "storage.url",
    "study.lock",
)  # the second where the database is elsewhere
RECORDS, DEFINITION = "records.jsonl", "study.json"
ANCHORS = ".anchors"  # the sibling study that keeps anchors out of the sampler's sight
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
    named = STUDIES / study
    return here if study and here.is_dir() and not named.exists() else STUDIES / check_name(study)


def is_begun(folder: Path) -> bool:
    """Return whether a live study has its database, or the address of it, in ``folder``."""
    return (folder / DATABASE).exists() or (folder / STORAGE).exists()
