"""What is heard of a study while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skexplore.engine.coordinator import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to know before the search begins."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bytes of the data set fetched so far; ``what`` names the source."""

    what: str
    done: int
    total: int


Event = Progress | Fetch | Note
Listener = Callable[[Event], None]
