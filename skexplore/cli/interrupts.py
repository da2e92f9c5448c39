"""Ctrl-C: counted from the first moment of a command on, so that none is lost while its modules are loaded.

Python drops a ``KeyboardInterrupt`` that is raised where it may not be, such as in the callbacks of an import: what
was pressed then is known here all the same.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """How often Ctrl-C was pressed in this command."""

    def __init__(self) -> None:
        self.presses = 0
        self._only_counted = 0  # presses that end nothing by themselves

    def _on_press(self, _signal: int, _frame: FrameType | None) -> None:
        self.presses += 1
        if self.presses > self._only_counted:
            raise KeyboardInterrupt

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Count every Ctrl-C of a command, each of which ends it as usual; one that is ignored stays so."""
        self.presses = 0
        with self._handled():
            yield

    def raise_again(self) -> None:
        """Raise ``KeyboardInterrupt`` if Ctrl-C was pressed and what it raised was dropped."""
        if self.presses:
            raise KeyboardInterrupt

    @contextmanager
    def counted(self) -> Iterator[Callable[[], int]]:
        """Let the first Ctrl-C be counted instead of ending the process; yields the counter."""
        self._only_counted = 1
        with self._handled():
            try:
                yield lambda: self.presses
            finally:
                self._only_counted = 0

    @contextmanager
    def _handled(self) -> Iterator[None]:
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:  # as a shell starts a job in the background
            signal.signal(signal.SIGINT, self._on_press)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


INTERRUPTS = Interrupts()
