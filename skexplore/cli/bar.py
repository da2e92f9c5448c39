"""One line of progress for what is fetched, checked or decoded before anything is trained."""

from __future__ import annotations

import time
from typing import Protocol


class _Stream(Protocol):
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class Bar:
    """Bytes fetched and checked so far: one line rewritten on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: _Stream, every: float = 5.0) -> None:
        self._stream, self._live, self._every = stream, stream.isatty(), every
        self._what, self._shown = "", 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show one event; one without a total is a message, which stays."""
        text = f"{what} {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else what
        if self._live:
            self._stream.write(f"\r\x1b[K{text}" + ("" if total else "\n"))
        elif what != self._what or time.monotonic() - self._shown >= self._every:
            self._what, self._shown = what, time.monotonic()
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the last line away, so that what follows begins at the left."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
