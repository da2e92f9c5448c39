"""Where a study's database is: its own SQLite file, or any database that Optuna can use."""

from __future__ import annotations

from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from skexplore.errors import UserError
from skexplore.files import read_text, write_atomic
from skexplore.study.record import StudySpec

DATABASE = "study.db"
STORAGE = "storage.url"  # of a study whose database is elsewhere
DATABASE_ERRORS = (SQLAlchemyError, StorageInternalError)


def directions(spec: StudySpec) -> list[StudyDirection]:
    """Return what Optuna is to do with the objectives: error, and in Pareto mode macs too."""
    return [StudyDirection.MINIMIZE] * (2 if spec.mode == "pareto" else 1)


def open_database(folder: Path, url: str | None = None) -> RDBStorage:
    """Return the database of the study in ``folder``: at ``url``, where it was, or its own SQLite file."""
    url = url or url_of(folder)
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=options)


def url_of(folder: Path) -> str:
    """Return where the database of the study in ``folder`` is."""
    pointer = folder / STORAGE
    return read_text(pointer).strip() if pointer.exists() else f"sqlite:///{(folder / DATABASE).absolute()}"


def keep_url(folder: Path, url: str) -> None:
    """Remember in ``folder`` where its study's database is."""
    pointer = folder / STORAGE
    write_atomic(pointer, f"{url}\n")
    pointer.chmod(0o600)  # it may hold a password


def is_begun(folder: Path) -> bool:
    """Return whether a live study has its database, or the address of it, in ``folder``."""
    return (folder / DATABASE).exists() or (folder / STORAGE).exists()


def hide_password(url: str) -> str:
    """Return a storage URL that may be shown."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):  # no URL, so no password in it
        return url


def check_storage(url: str | None) -> str | None:
    """Return ``url`` (None: the study's own file) with an absolute path if it has one.

    Raises ``UserError`` unless it is a database that can be used from here.
    """
    if url is None:
        return None
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError:
        scheme = url.partition("://")[0]
        raise UserError(
            f"--storage {scheme}://...: unknown scheme; allowed are SQLAlchemy's, such as sqlite, postgresql, mysql"
        ) from None
    except (ArgumentError, ValueError):
        raise UserError(
            f"--storage {url}: not a database URL; for example sqlite:///studies.db or postgresql://user@host/name"
        ) from None
    except ImportError as error:
        raise UserError(
            f"--storage {hide_password(url)}: its driver is not installed ({error}); install it with pip"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        place = Path(parsed.database or "")
        memory = parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:")
        if memory or place.is_dir() or not place.parent.is_dir():
            raise UserError(
                f"--storage {url}: must name a file in a folder that exists, as in sqlite:///studies.db"
            )
        return parsed.set(database=str(place.absolute())).render_as_string(hide_password=False)
    try:
        with create_engine(url).connect():
            pass
    except SQLAlchemyError as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise UserError(f"--storage {hide_password(url)}: cannot be reached ({cause})") from None
    return url
