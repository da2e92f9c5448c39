"""What is known by name: YAML files of the current folder, or shipped with the package; studies shipped with it."""

from __future__ import annotations

from pathlib import Path

from skexplore.errors import UserError, lookup


def package_places(folder: str) -> list[Path]:
    """Return where ``folder`` of the package may be: in a source checkout beside it, installed as a wheel inside it."""
    package = Path(__file__).parent
    return [package.parent / folder, package / folder]


def shipped(folder: str, *, here: bool = True) -> dict[str, Path]:
    """Return the files of ``folder`` by name: those of the current folder (if ``here``) before those shipped."""
    places = [*package_places(folder), *([Path(folder)] if here else [])]
    found = {path.stem: path for place in places if place.is_dir() for path in sorted(place.glob("*.yaml"))}
    return dict(sorted(found.items()))


def find_shipped(source: str, folder: str, *, what: str, file: str) -> Path:
    """Return the file called ``source`` in ``folder``, or at the path ``source``; what, file: its words in errors.

    Raises ``UserError`` with the nearest name.
    """
    if source.endswith((".yaml", ".yml")) or "/" in source:
        path = Path(source)
        if not path.is_file():
            raise UserError(f"{file} {source}: {'not a file' if path.exists() else 'not found'}")
        return path
    known = shipped(folder)
    return lookup(source, known, what=what, where=f"known: {', '.join(known)}, or a path to a .yaml file")
