"""What tests may remember although a command, which runs once in its process, need not.

Nothing here changes a result: it is the same file read again, or a wait for the disk of a database that the test
throws away.
"""

from __future__ import annotations

import sqlite3
import sys
from functools import cache


@cache
def remember() -> None:
    """Read the revisions of Optuna's schema once, and let no test wait for its disk."""
    from alembic.script import ScriptDirectory
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    read = ScriptDirectory.from_config
    directories: dict[str | None, ScriptDirectory] = {}

    def once(config: object) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in directories:
            directories[place] = read(config)
        return directories[place]

    ScriptDirectory.from_config = staticmethod(once)

    @event.listens_for(Engine, "connect")
    def _never_wait(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")


def remember_what_is_loaded() -> None:
    """Do so if this process uses a database at all."""
    if "optuna.storages._rdb.storage" in sys.modules:
        remember()
