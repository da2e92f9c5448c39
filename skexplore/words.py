"""Words that messages and pages share: a number with its noun, a list in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(number: int, noun: str) -> str:
    """Return ``1 epoch``, ``3 epochs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Iterable[str], last: str = "or") -> str:
    """Return ``a, b or c`` of one name or more."""
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end


def first_of(names: Sequence[str], most: int = 10) -> str:
    """Return ``a, b, c``, and of more than ``most`` names how many are left out: ``a, b and 7 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def chance_words(value: float) -> str:
    """Return a chance 0..1 as part of a sentence, such as ``of 80 %``."""
    if value > 0.99:
        return "above 99 %"
    return "below 1 %" if value < 0.01 else f"of {100 * value:.0f} %"
