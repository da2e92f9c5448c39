"""A user's own images where they lie: class folders, arrays in an ``.npz``, or Parquet files; found, not yet decoded.

Whatever the form, a ``Source`` lists every image with its label, part by part, in the order of names: images are
sorted by their file's name first and by their class then, so that a data set that is written out with its numbers as
names keeps its order.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from skexplore.errors import UserError
from skexplore.words import first_of, listed

OwnPart = Literal["train", "val", "test"]
OWN_PARTS: tuple[OwnPart, ...] = ("train", "val", "test")
PART_NAMES: dict[str, OwnPart] = {  # of folders, and first words of files, in any case
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
IMAGE_COLUMNS = ("image", "img", "images")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class")
MOST_SHOWN = 10  # problems that one message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image: ``name`` as errors show it, its class by number, bytes it takes there, and how it is opened.

    read: returns what identifies it, and the image; raises ``OSError`` or ``ValueError`` for what is none.
    """

    name: str
    label: int
    size: int
    read: Callable[[], tuple[bytes, Image.Image]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A user's own images: the names of their classes, in the order of labels, and the images of each part.

    unused: folders beside those of the parts.
    """

    place: Path
    classes: tuple[str, ...]
    parts: dict[OwnPart, list[Item]]
    unused: tuple[str, ...] = ()


def find_source(place: Path) -> Source:
    """Return the images at ``place``: a folder of class folders, of Parquet files, a ``.parquet`` or an ``.npz``.

    Raises ``UserError`` that names what is missing: a place that holds no images, a class without any, classes that
    differ between parts, arrays of another shape.
    """
    if not place.exists():
        raise UserError(f"{place}: there is no such folder or file; {FORMS}")
    try:
        if place.is_file() and place.suffix == ".npz":
            source = _arrays(place)
        elif place.is_file() and place.suffix == ".parquet":
            source = _tables(place, {"train": [place]})
        elif place.is_dir() and any(place.glob("*.parquet")):
            source = _tables(place, _parquet_files(place))
        elif place.is_dir():
            source = _folders(place)
        else:
            raise UserError(f"{place}: holds no images in a known form; {FORMS}")
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from None
    if len(source.classes) < 2:
        raise UserError(
            f"{place}: images of one class, {source.classes[0]}; two or more are needed, each in a folder of its own"
        )
    return source


FORMS = (
    "give a folder with train/CLASS/IMAGE (val/ and test/ beside train/ where you have them) or CLASS/IMAGE, an .npz "
    "with train_images and train_labels, or Parquet files"
)


# Class folders


def _folders(place: Path) -> Source:
    own = _part_folders(place) or {"train": place}
    listings = {part: _listing(folder) for part, folder in own.items()}
    classes = tuple(listings["train"])
    if not classes:
        raise UserError(f"{own['train']}: holds no folder of images; {FORMS}")
    _check_classes(own, classes, listings)
    number = {name: label for label, name in enumerate(classes)}
    parts: dict[OwnPart, list[Item]] = {}
    for part, found in listings.items():
        files = [(file, name) for name, own_files in found.items() for file in own_files]
        files.sort(key=lambda each: (each[0].relative_to(own[part] / each[1]).as_posix(), each[1]))
        parts[part] = [
            Item(
                name=str(file),
                label=number[name],
                size=file.stat().st_size,
                read=partial(_read_file, file, f"{part}/{file.relative_to(own[part]).as_posix()}"),
            )
            for file, name in files
        ]
    beside = sorted({each.name for each in _visible(place)} - {each.name for each in own.values()})
    return Source(
        place=place, classes=classes, parts=parts, unused=tuple(beside) if place not in own.values() else ()
    )


def _part_folders(place: Path) -> dict[OwnPart, Path]:
    """Return the folders of ``place`` that are parts, by part; nothing where its folders are classes."""
    own: dict[OwnPart, Path] = {}
    for folder in _visible(place):
        part = PART_NAMES.get(folder.name.lower())
        if part in own:
            raise UserError(f"{place}: {own[part].name} and {folder.name} are both {part}; keep one of them")
        if part:
            own[part] = folder
    if own and "train" not in own:
        names = " and ".join(each.name for each in own.values())
        raise UserError(f"{place}: holds {names} but no train; {FORMS}")
    return {part: own[part] for part in OWN_PARTS if part in own}


def _visible(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _listing(folder: Path) -> dict[str, list[Path]]:
    """Return the files of every class below ``folder``, hidden ones left out, the classes sorted by name."""
    return {
        each.name: [
            file
            for file in files_of(each)
            if not any(part.startswith(".") for part in file.relative_to(each).parts)
        ]
        for each in _visible(folder)
    }


def files_of(folder: Path) -> Iterator[Path]:
    """Yield all files below ``folder``, through links to folders too, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add(real)
        yield from (Path(place, name) for name in names)


def _check_classes(
    own: dict[OwnPart, Path], classes: tuple[str, ...], listings: dict[OwnPart, dict[str, list[Path]]]
) -> None:
    problems = []
    for part, found in listings.items():
        where = own[part]
        problems += [f"{where / name}: holds no image" for name, files in found.items() if not files]
        if strange := sorted(set(found) - set(classes)):
            problems.append(f"{where}: {first_of(strange)}: not among the classes of train")
        if absent := sorted(set(classes) - set(found)):
            problems.append(f"{where}: {first_of(absent)}: a class of train without a folder here")
    complain(problems)


def complain(problems: list[str]) -> None:
    """Raise a ``UserError`` with the first ``problems``, and how many more there are, unless there are none."""
    if problems:
        more = [f"and {len(problems) - MOST_SHOWN:,} more"] if len(problems) > MOST_SHOWN else []
        raise UserError("\n".join([*problems[:MOST_SHOWN], *more]))


def _read_file(file: Path, name: str) -> tuple[bytes, Image.Image]:
    content = file.read_bytes()
    return name.encode() + b"\0" + hashlib.sha256(content).digest(), Image.open(io.BytesIO(content))


# Arrays


def _arrays(place: Path) -> Source:
    arrays = _opened(place)
    parts: dict[OwnPart, list[Item]] = {}
    for part in OWN_PARTS:
        if f"{part}_images" not in arrays and part != "train":
            continue
        images, labels = _pair(place, part, arrays)
        if len(images):
            parts[part] = [
                Item(
                    name=f"{place}: {part}_images[{number}]",
                    label=int(label),
                    size=pixels.nbytes,
                    read=partial(_read_array, pixels, f"{part}/{number}/{label}"),
                )
                for number, (pixels, label) in enumerate(zip(images, labels, strict=True))
            ]
    return Source(place=place, classes=_numbered(place, parts), parts=parts)


def _opened(place: Path) -> dict[str, np.ndarray]:
    try:
        with place.open("rb") as file:
            held = np.load(file, allow_pickle=False)
            if not isinstance(held, np.lib.npyio.NpzFile):
                raise UserError(f"{place}: is one array; {FORMS}")
            return {name: held[name] for name in held.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise UserError(f"{place}: is a damaged .npz ({error})") from None
    except ValueError:  # whose words advise to run what the file holds
        raise UserError(f"{place}: is no .npz of plain arrays; {FORMS}") from None


def _numbered(place: Path, parts: dict[OwnPart, list[Item]]) -> tuple[str, ...]:
    """Return the labels as names of classes, from 0 to the largest; every one must be in train."""
    if not parts.get("train"):
        raise UserError(f"{place}: holds no image to train on; {FORMS}")
    most, count = max(item.label for items in parts.values() for item in items), len(parts["train"])
    if most >= count:
        raise UserError(
            f"{place}: a label is {most:,}, and there are {count:,} images; labels are numbers from 0 on"
        )
    classes = tuple(map(str, range(most + 1)))
    check_labels(place, parts, classes)
    return classes


def _pair(place: Path, part: OwnPart, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, H, W) or (N, H, W, 1 or 3) of uint8 and labels (N,) of ``part``, checked."""
    for kind in ("images", "labels"):
        if f"{part}_{kind}" not in arrays:
            raise UserError(f"{place}: {part}_{kind} is missing; it holds {', '.join(arrays) or 'nothing'}")
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    if (
        images.dtype != np.uint8
        or images.ndim not in (3, 4)
        or (images.ndim == 4 and images.shape[3] not in (1, 3))
    ):
        raise UserError(
            f"{place}: {part}_images is {images.dtype} of shape {images.shape}; it must be uint8 of shape (N, H, W), "
            "(N, H, W, 1) or (N, H, W, 3)"
        )
    flat = labels.reshape(-1)
    if len(flat) != len(images) or not np.issubdtype(flat.dtype, np.integer) or (flat < 0).any():
        raise UserError(
            f"{place}: {part}_labels is {labels.dtype} of shape {labels.shape}; it must be {len(images):,} integers "
            "from 0 on, one for each image"
        )
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images, flat


def check_labels(place: Path, parts: dict[OwnPart, list[Item]], classes: tuple[str, ...]) -> None:
    """Raise ``UserError`` that names classes of which a part has no image."""
    problems = []
    for part, items in parts.items():
        missing = sorted(set(range(len(classes))) - {item.label for item in items})
        if missing:
            problems.append(
                f"{place}: {part} has no image of {first_of([classes[label] for label in missing])}"
            )
    complain(problems)


def _read_array(pixels: np.ndarray, name: str) -> tuple[bytes, Image.Image]:
    return name.encode() + b"\0" + hashlib.sha256(pixels.tobytes()).digest(), Image.fromarray(pixels)


# Parquet files as data hubs hand them out: image bytes and a label in each row


def _parquet_files(place: Path) -> dict[OwnPart, list[Path]]:
    """Return the files of each part: the part is the first word of a file's name."""
    found: dict[OwnPart, list[Path]] = {}
    for file in sorted(place.glob("*.parquet")):
        word = file.stem.lower().replace("_", "-").split("-")[0]
        if word not in PART_NAMES:
            raise UserError(f"{file}: its name must begin with {listed(PART_NAMES)}, such as train-0.parquet")
        found.setdefault(PART_NAMES[word], []).append(file)
    if "train" not in found:
        raise UserError(
            f"{place}: no file begins with train; there is {', '.join(each.name for each in place.glob('*'))}"
        )
    return found


def _tables(place: Path, files: dict[OwnPart, list[Path]]) -> Source:
    parts = {
        part: list(itertools.chain.from_iterable(_rows(file, part) for file in own))
        for part, own in files.items()
    }
    names = _class_names(files["train"][0])
    if not names:
        return Source(place=place, classes=_numbered(place, parts), parts=parts)
    most = max((item.label for items in parts.values() for item in items), default=0)
    if most >= len(names):
        raise UserError(f"{place}: a label is {most}, and its description names {len(names)} classes")
    check_labels(place, parts, names)
    return Source(place=place, classes=names, parts=parts)


def _rows(file: Path, part: OwnPart) -> Iterator[Item]:
    parquet = _pyarrow(file)
    try:
        table = parquet.read_table(file)
    except (ValueError, OSError) as error:
        raise UserError(f"{file}: is no Parquet file ({error})") from None
    image, label = (
        next((name for name in names if name in table.column_names), None)
        for names in (IMAGE_COLUMNS, LABEL_COLUMNS)
    )
    if image is None or label is None:
        raise UserError(
            f"{file}: columns {', '.join(table.column_names)}; one of {listed(IMAGE_COLUMNS)} is needed for images "
            f"and one of {listed(LABEL_COLUMNS)} for labels"
        )
    for number, (held, own) in enumerate(zip(table[image], table[label], strict=True)):
        value, where = held.as_py(), f"{file}: row {number}"
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise UserError(f"{where}: {image} holds no bytes of an image")
        if not isinstance(found := own.as_py(), int) or found < 0:
            raise UserError(f"{where}: {label} is {found!r}; it must be an integer from 0 on")
        yield Item(
            name=where,
            label=found,
            size=len(content),
            read=partial(_read_bytes, content, f"{part}/{file.name}/{number}/{found}"),
        )


def _read_bytes(content: bytes, name: str) -> tuple[bytes, Image.Image]:
    return name.encode() + b"\0" + hashlib.sha256(content).digest(), Image.open(io.BytesIO(content))


def _class_names(file: Path) -> tuple[str, ...]:
    """Return the names of classes that the file's description has, empty where it has none."""
    metadata = _pyarrow(file).read_schema(file).metadata or {}
    try:
        features: dict[str, Any] = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return tuple(next(features[name]["names"] for name in LABEL_COLUMNS if name in features))
    except (ValueError, KeyError, TypeError, StopIteration):
        return ()


def _pyarrow(file: Path) -> Any:
    try:
        from pyarrow import parquet  # noqa: PLC0415  # an extra
    except ImportError:
        raise UserError(f'{file}: reading Parquet needs pyarrow: pip install "skexplore[parquet]"') from None
    return parquet
