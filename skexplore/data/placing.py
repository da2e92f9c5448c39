"""A folder of the cache put in place in one step, whatever else runs, dies, or does the same."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from skexplore.errors import UserError

STALE_SECONDS = 86_400.0  # a temporary folder this old belongs to a process that was killed


def put_in_place(final: Path, damage: Callable[[], str], make: Callable[[Path, Path], None]) -> Path:
    """Make ``final`` the folder that ``make(temporary folder, fresh)`` leaves at ``fresh``, in one step; return it.

    damage: says what is wrong with ``final``, "" if nothing: then it stays. Where ``make`` leaves nothing, so does it.
    Raises ``UserError`` for a write that the system refuses.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        prefix = f"{_prefix(final)}{os.getpid()}-"
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=prefix) as temporary:
            fresh = Path(temporary, "fresh")
            make(Path(temporary), fresh)
            if fresh.exists():
                _swap(fresh, final, Path(temporary, "old"), damage)
    except OSError as error:
        raise UserError(
            f"{final}: the cache cannot be written ({reason(error)}); free or choose a folder: SKEXPLORE_CACHE=DIR"
        ) from None
    return final


def _prefix(final: Path) -> str:
    return f".{final.name}-{platform.node()}-"  # a cache may be shared by machines


def _sweep(final: Path) -> None:
    """Remove what processes that were killed have left."""
    for left in final.parent.glob(f".{final.name}-*"):
        owner = left.name.removeprefix(_prefix(final)).split("-")[0]
        gone = left.name.startswith(_prefix(final)) and owner.isdigit() and not _runs(int(owner))
        if left.is_dir() and (gone or time.time() - left.stat().st_mtime > STALE_SECONDS):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    """Whether a process of this machine is alive; yes where that cannot be asked."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


SWAPS = 5  # of a damaged copy: processes that find it at the same time move each other's away


def _swap(fresh: Path, final: Path, old: Path, damage: Callable[[], str]) -> None:
    """Move ``fresh`` to ``final``: a sound ``final`` (a race lost) stays, a damaged one goes to ``old``."""
    for attempt in range(SWAPS):
        try:
            fresh.rename(final)
        except OSError:
            if damage():
                if attempt == SWAPS - 1:
                    raise
                with contextlib.suppress(OSError):  # another process may have moved it, or be about to
                    final.rename(old.with_name(f"{old.name}-{attempt}"))
                continue
        return


def reason(error: OSError) -> str:
    """Return what the system says of ``error``, with the file's name."""
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"
