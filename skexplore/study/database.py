"""Where a study's database is: its own SQLite file, or any database that Optuna can use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from skexplore.errors import UserError
from skexplore.files import read_text, write_atomic
from skexplore.study.folder import DATABASE, STORAGE

DRIVERS = {  # by SQLAlchemy's name: the package, and the extra of this package that brings it
    "psycopg": ("psycopg[binary]", "postgresql"),
    "psycopg2": ("psycopg2-binary", ""),
    "mysqldb": ("mysqlclient", "mysql"),
    "pymysql": ("PyMySQL", ""),
    "mysqlconnector": ("mysql-connector-python", ""),
}


def engine_options(url: str) -> dict[str, Any]:
    """Return how SQLAlchemy is to connect to ``url``: patient with a locked file, careful with a lost server."""
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}


@contextmanager
def readable(
    folder: Path, errors: tuple[type[Exception], ...] = (SQLAlchemyError,), storage: str | None = None
) -> Iterator[None]:
    """Turn what a foreign or damaged database, of the folder or at ``storage``, raises into a ``UserError``."""
    caught: tuple[type[Exception], ...] = (*errors, ImportError, ValueError)
    try:
        yield
    except caught as error:
        if isinstance(error, UserError):
            raise
        url = storage or (url_of(folder) if (folder / STORAGE).exists() else None)
        place = hide_password(url) if url else folder / DATABASE
        raise UserError(f"{place}: cannot be used as a study's database ({cause_of(error)})") from None


def url_of(folder: Path) -> str:
    """Return where the database of the study in ``folder`` is."""
    pointer = folder / STORAGE
    return read_text(pointer).strip() if pointer.exists() else f"sqlite:///{(folder / DATABASE).absolute()}"


def keep_url(folder: Path, url: str) -> None:
    """Remember in ``folder`` where its study's database is."""
    pointer = folder / STORAGE
    write_atomic(pointer, f"{url}\n")
    pointer.chmod(0o600)  # it may hold a password


def hide_password(url: str) -> str:
    """Return a storage URL that may be shown."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):  # no URL, so no password in it
        return url


def cause_of(error: BaseException) -> str:
    """Return what the database itself said: of a commit that failed Optuna says what is not so, "invalid data"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0].strip()


def explain(error: Exception, folder: Path) -> str:
    """Return why a search with its study in ``folder`` had to end with ``error``, what is kept, and how to go on."""
    found = _of_database(error)
    if found is None:
        what = str(error)
    elif _is_lost(found, url_of(folder)):
        return (
            f"the connection to the database is lost: {hide_password(url_of(folder))} ({cause_of(error)})\n"
            f"What was written there is safe, and unfinished trainings are kept in {folder / 'checkpoints'} up to "
            "their last epoch. Start the database again, then repeat the command: it goes on from there"
        )
    else:
        what = cause_of(error)
    return (
        f"{what}\nThe search cannot go on here. Finished trials are kept; correct this and repeat the command"
    )


def _of_database(error: BaseException | None) -> SQLAlchemyError | None:
    """Return the error of SQLAlchemy behind ``error``, if there is one: Optuna wraps them."""
    while error is not None and not isinstance(error, SQLAlchemyError):
        error = error.__cause__
    return error


def _is_lost(error: SQLAlchemyError, url: str) -> bool:
    """Whether the server of the database at ``url`` has closed the connection, or takes no new one."""
    if not isinstance(error, DBAPIError) or error.connection_invalidated:
        return isinstance(error, DBAPIError)
    return error.statement is None and not url.startswith("sqlite")  # no statement: it failed to connect


def _install(driver: str) -> str:
    """Return how to install a driver that SQLAlchemy names so."""
    package, extra = DRIVERS.get(driver, (driver, ""))
    here = f", or pip install 'skexplore[{extra}]'" if extra else ""
    return f"pip install '{package}'{here}"


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
        install = _install(parsed.get_dialect().driver)
        raise UserError(
            f"--storage {hide_password(url)}: its driver is not installed ({error}); {install}"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        place = Path(parsed.database or "")
        memory = parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:")
        if memory or place.is_dir() or not place.parent.is_dir():
            raise UserError(
                f"--storage {url}: must name a file in a folder that exists, as in sqlite:///studies.db"
            )
        return parsed.set(database=str(place.absolute())).render_as_string(hide_password=False)
    engine = create_engine(url)
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        raise UserError(f"--storage {hide_password(url)}: cannot be reached ({cause_of(error)})") from None
    finally:
        engine.dispose()
    return url
