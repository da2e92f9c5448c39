"""What tests may remember or leave out although a command, which runs once in its process, need not.

Nothing here changes a result: it is the same file read again, a wait for the disk of a database that the test
throws away, or shapes that are checked while fvcore traces a network, where each is a node of the graph.
"""

from __future__ import annotations

import sqlite3
import sys
from functools import cache, wraps


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


@cache
def trace_without_shape_checks() -> None:
    """Let jaxtyping stand back while fvcore traces: shapes are checked where networks run."""
    from fvcore.nn import FlopCountAnalysis
    from jaxtyping import config

    analyze = FlopCountAnalysis._analyze

    @wraps(analyze)
    def unchecked(self: FlopCountAnalysis) -> object:
        config.update("jaxtyping_disable", True)
        try:
            return analyze(self)
        finally:
            config.update("jaxtyping_disable", False)

    FlopCountAnalysis._analyze = unchecked


def make_fast_what_is_loaded() -> None:
    """Do so for what this process uses at all."""
    if "optuna.storages._rdb.storage" in sys.modules:
        remember()
    if "fvcore.nn" in sys.modules:
        trace_without_shape_checks()
