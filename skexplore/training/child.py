"""A Python process of ours that runs one module, and a connection to it: objects go both ways, pickled.

Not ``multiprocessing.Process``: its children first run the user's script again, so that a script which calls
``search`` at its top level would search anew in every worker; they begin with the terminal as their output and
within reach of its Ctrl-C; and they read ``OMP_NUM_THREADS`` from our own environment. A fresh ``python -m``
needs none of that undone. May import nothing of ours: a worker listens before it loads anything heavy.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

PATIENCE = 5.0  # seconds for a process whose connection has ended to end itself
GONE = (EOFError, OSError)  # what receiving raises when the other side has ended
# glibc gives a large tensor back to the system when it is freed, and the next one of its size costs page faults again:
# part of every step. 32 MiB is the most that every version takes. Other systems do not read these.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}


class Child:
    """``python -m MODULE FD ARGUMENTS``, started at once; what it and its libraries print goes to ``log``.

    threads: of OpenMP, read by torch as it loads; None leaves the environment's. Memory that a child frees stays with
    it (``KEEP_MEMORY``), unless the environment says otherwise.
    """

    def __init__(self, module: str, *arguments: str, log: IO[bytes], threads: int | None = None) -> None:
        self.connection, theirs = Pipe()
        with theirs:  # the child's end is open in the child alone, so that its death ends the connection
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the coordinator, which decides what becomes of its children
                env=KEEP_MEMORY | os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {}),
            )

    def send(self, message: object) -> None:
        """Send ``message``; to a child that has ended it goes nowhere, and receiving says so next."""
        with contextlib.suppress(ConnectionError):
            self.connection.send(message)

    def wait(self) -> int:
        """Return the exit status of a child whose connection has ended, so that it is about to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=PATIENCE)
        return self.end()

    def end(self) -> int:
        """End the child, if it has not ended, and return its exit status (minus the signal's number)."""
        self.process.kill()
        self.connection.close()
        return self.process.wait()


def connect() -> Connection[Any, Any]:
    """Return, in a ``Child``, the connection to the process that started it."""
    return Connection(int(sys.argv[1]))
