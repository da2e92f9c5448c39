"""The exceptions whose cause a user can correct, and the one way to say that a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from skexplore.words import listed

T = TypeVar("T")
LEAST_PART, MOST_NEAR = 3, 3  # letters of a name that may stand for it; names that are proposed

NO_MEMORY = (
    "torch could not be loaded for lack of memory; it takes about 4 GB of address space: close other programs, or "
    "raise the limit of this shell (ulimit -v unlimited) or of the job"
)


class UserError(ValueError):
    """Bad input: says what was given, what is allowed and what to do next. The CLI exits 2 with it."""


class StudyError(RuntimeError):
    """A search had to end early; what was finished is kept. The CLI exits 1 with it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean NAME?)`` with the ``known`` name of nearly these letters, or those that it is a part of.

    Else with the one that is nearest, and empty if none is near.
    """
    names, small = list(known), name.lower()
    part = [each for each in names if small in each.lower()] if len(name) >= LEAST_PART else []
    near = _near(name, names, 0.8) or _near(small, names, 0.8) or part[:MOST_NEAR]
    near = near or _near(name, names, 0.6) or _near(small, names, 0.6)
    return f" (did you mean {listed(near)}?)" if near else ""


def _near(name: str, names: Sequence[str], ratio: float) -> list[str]:
    return difflib.get_close_matches(name, names, n=1, cutoff=ratio)


def lookup(name: str, known: Mapping[str, T], *, what: str, where: str = "") -> T:
    """Return what is ``known`` by ``name``; an unknown name is a ``UserError`` with the nearest one.

    what: the kind of thing, in the error. where: in place of the list of known names, where that would be long.
    """
    if name not in known:
        allowed = where or f"known: {', '.join(known)}"
        raise UserError(f"unknown {what} {name!r}{did_you_mean(name, known)}; {allowed}")
    return known[name]


def check_one_of(what: str, value: str, allowed: Collection[str]) -> None:
    """Raise ``UserError`` unless ``value``, given as ``what`` (an option, a field), is one of ``allowed``."""
    if value not in allowed:
        raise UserError(f"{what} {value}: must be one of {', '.join(allowed)}{did_you_mean(value, allowed)}")


def lacks_memory(error: ImportError | MemoryError) -> bool:
    """Return whether a module could not be loaded because the memory, or the address space, is too small."""
    words = ("failed to map segment", "cannot allocate memory")
    return isinstance(error, MemoryError) or any(each in str(error).lower() for each in words)
