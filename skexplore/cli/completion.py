"""What the shell proposes where a study or a space is to be named (``skexplore --install-completion``)."""

from __future__ import annotations


def studies(incomplete: str) -> list[str]:
    """Return the studies and archives here whose names begin so."""
    from skexplore.study import known_studies

    return [path.name for path in known_studies() if path.name.startswith(incomplete)]


def spaces(incomplete: str) -> list[str]:
    """Return the spaces known by name that begin so."""
    return _shipped("search_spaces", incomplete)


def designs(incomplete: str) -> list[str]:
    """Return the ablations known by name that begin so, and the studies."""
    return sorted({*_shipped("studies", incomplete), *studies(incomplete)})


def _shipped(folder: str, incomplete: str) -> list[str]:
    from skexplore.shipped import shipped

    return [name for name in shipped(folder) if name.startswith(incomplete)]
