"""Words that messages and pages share: a number with its noun, a list in a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return ``1 epoch``, ``3 epochs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], last: str = "or") -> str:
    """Return ``a, b or c`` of one name or more."""
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end
