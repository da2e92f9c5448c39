"""A user's own images, decoded once at the wanted size into the cache and described there.

The cache holds them as it holds a release (``{train,val,test}_{images,labels}.npy``, uint8), in a folder named by
their name, digest and side, with ``about.json``: what they are and what they were made of. The digest is of the
files, so that images that were changed are other images.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from skexplore.data.cache import cache_home
from skexplore.data.datasets import DATASETS, Content
from skexplore.data.placing import put_in_place
from skexplore.data.releases import Bytes, Progress
from skexplore.data.sources import Item, OwnPart, Source, complain, find_source
from skexplore.data.split import VAL_SHARE, stratified
from skexplore.errors import UserError, lookup
from skexplore.files import read_json, write_atomic

ABOUT = "about.json"
SIDE = 32  # pixels, where none is asked for: what the proxies are made for
MOST_SIDE = 1024
CHUNK = 1024  # images decoded or converted at a time
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")

_BROKEN = (OSError, ValueError, SyntaxError, TypeError, OverflowError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnImages:
    """What a cached folder of a user's own images holds: ``about.json``.

    place: where they were found. stamp: of names, sizes and times of the files there. digest: of what is in them.
    skipped: broken images left out. test_held_out: whether there was no test part, so that it is a tenth of train.
    """

    name: str
    place: str
    stamp: str
    digest: str
    side: int
    channels: int
    classes: tuple[str, ...]
    counts: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: int = 0
    test_held_out: bool = False

    @property
    def content(self) -> Content:
        """What a split of them is made of."""
        return Content(
            name=self.name,
            title=self.name,
            classes=len(self.classes),
            side=self.side,
            channels=self.channels,
            digest=self.digest,
            mean=self.mean,
            std=self.std,
            train=self.counts["train"],
            val=self.counts.get("val", 0),
        )

    @property
    def folder(self) -> Path:
        """Where the arrays are cached."""
        return own_folder(self.name, self.digest, self.side)


def own_folder(name: str, digest: str, side: int) -> Path:
    """Return where images of this name, digest and side in pixels are cached, whether they are there or not."""
    return cache_home() / "own" / f"{name}-{digest[:12]}-{side}px"


def describe_own(text: str, *, skip_broken: bool = False, progress: Progress | None = None) -> OwnImages:
    """Return what is known of the images at ``text`` (``PLACE`` or ``PLACE@SIDE``), decoded into the cache if needed.

    They count as unchanged while names, sizes and times of the files are. skip_broken: leave out what cannot be
    decoded; files for which that was allowed once stay so until they change. ``progress(what, bytes_done,
    bytes_total)`` is called now and then. Raises ``UserError`` for what ``find_source`` refuses, images that cannot be
    decoded, and a cache that cannot be written.
    """
    place, side = place_of(text)
    report = progress or (lambda _what, _done, _total: None)
    full = place.expanduser().resolve()
    stamp = _stamp(full) if full.exists() else ""
    for known in _known():
        same = (known.place, known.stamp, known.side) == (str(full), stamp, side)
        if same and not _damage(known, known.folder):
            return known
    return _decode(find_source(full), _name(full), stamp, side, skip_broken=skip_broken, report=report)


def content_of(text: str, *, skip_broken: bool = False, progress: Progress | None = None) -> Content:
    """Return what the data set ``text`` holds: a known name, or ``PLACE`` or ``PLACE@SIDE`` of a user's own images.

    Raises ``UserError`` for a name that is not known, and as ``describe_own``.
    """
    if text in DATASETS:
        return DATASETS[text].content
    place, _ = place_of(text)
    if not place.expanduser().exists() and not re.search(r"[/\\.]", text):
        known = f"known: {', '.join(DATASETS)}, or a folder of your own images, which {text} is not"
        lookup(text, DATASETS, what="dataset", where=known)
    return describe_own(text, skip_broken=skip_broken, progress=progress).content


def prepare_own(own: Content, *, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the folder of the cached arrays of ``own``, decoded again from ``data_dir`` if they are not there.

    Raises ``UserError`` where they are not there and ``data_dir`` (or ``SKEXPLORE_DATA``) is not given or holds other
    images, and as ``describe_own``.
    """
    folder = own_folder(own.name, own.digest, own.side)
    found = _read(folder)
    if found is not None and not _damage(found, folder):
        return folder
    given = data_dir or os.environ.get("SKEXPLORE_DATA")
    if not given:
        raise UserError(
            f"{folder}: the images of {own.name} are not cached there; give the folder that holds them: --data-dir DIR"
        )
    here = describe_own(f"{given}@{own.side}", progress=progress)
    if here.digest != own.digest:
        raise UserError(
            f"{given}: holds other images than {own.name} had (digest {here.digest[:12]}, expected {own.digest[:12]}); "
            "errors of both cannot be compared. Give the images as they were, or begin a study of another name"
        )
    return here.folder


def place_of(text: str) -> tuple[Path, int]:
    """Return the place and the side in pixels that ``PLACE`` or ``PLACE@SIDE`` asks for; raises ``UserError``."""
    place, at, size = text.rpartition("@")
    if not at or not size.isdigit():
        return Path(text), SIDE
    if not 8 <= int(size) <= MOST_SIDE:
        raise UserError(f"--dataset {text}: a side of {size} pixels; it must be between 8 and {MOST_SIDE:,}")
    return Path(place), int(size)


def _name(place: Path) -> str:
    """Return the name under which images of ``place`` are known, fit for files and studies."""
    name = re.sub(
        r"[^a-z0-9]+", "-", place.name.removesuffix(place.suffix if place.is_file() else "").lower()
    )
    name = name.strip("-") or "images"
    return f"{name}-own" if name in DATASETS else name


def _stamp(place: Path) -> str:
    """Return a digest of names, sizes and times of all files of ``place``: what can be told without reading them."""
    files = [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file())
    found = hashlib.sha256()
    for file in files:
        facts = file.stat()
        name = file.name if file == place else file.relative_to(place).as_posix()
        found.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return found.hexdigest()


# The cache


def _known() -> Iterator[OwnImages]:
    for path in sorted((cache_home() / "own").glob(f"*/{ABOUT}")):
        if found := _read(path.parent):
            yield found


def _read(folder: Path) -> OwnImages | None:
    try:
        data = read_json(folder / ABOUT)
        listed = {name: tuple(data[name]) for name in ("classes", "mean", "std")}
        return OwnImages(**data | listed)
    except (UserError, TypeError, KeyError):
        return None


def _damage(own: OwnImages, folder: Path) -> str:
    """Say what is wrong with the arrays of ``own`` in ``folder``, "" if nothing: sizes, not contents."""
    for part, count in own.counts.items():
        for kind, size in (("images", own.channels * own.side**2), ("labels", 2)):
            path = folder / f"{part}_{kind}.npy"
            if not path.is_file() or path.stat().st_size <= count * size:  # a header comes first
                return f"{path.name} is missing or truncated"
    return ""


# Decoding


@dataclass(slots=True, kw_only=True)
class _Decoded:
    """Images of a part as they were decoded, 3 x side x side each, their labels, and how many hold colours."""

    images: Bytes
    labels: list[int]
    coloured: int = 0


def _decode(
    source: Source, name: str, stamp: str, side: int, *, skip_broken: bool, report: Progress
) -> OwnImages:
    """Decode all images of ``source`` into the cache and return what is known of them."""
    _check_room(source, side)
    made: list[OwnImages] = []

    def make(temporary: Path, fresh: Path) -> None:
        parts, digest, problems = _decoded(source, temporary, side, report)
        if problems and not skip_broken:
            _refuse(source, problems)
        own = OwnImages(
            name=name,
            place=str(source.place),
            stamp=stamp,
            digest=digest,
            side=side,
            channels=3 if any(part.coloured for part in parts.values()) else 1,
            classes=source.classes,
            counts={},
            mean=(),
            std=(),
            skipped=len(problems),
            test_held_out="test" not in parts,
        )
        made.append(_written(own, parts, fresh))

    # the digest, and with it the name of the folder, is known once all is decoded: so it is moved there after
    place = put_in_place(cache_home() / "own" / f"new-{name}-{stamp[:12]}-{side}px", lambda: "new", make)
    own = made[-1]
    return _moved(own, place)


def _check_room(source: Source, side: int) -> None:
    home = cache_home()
    home.mkdir(parents=True, exist_ok=True)
    count = sum(map(len, source.parts.values()))
    needed, free = 2 * 3 * count * side**2, shutil.disk_usage(home).free
    if needed > free:
        raise UserError(
            f"{source.place}: {count:,} images of {side}x{side} pixels take {needed / 1e9:.1f} GB while they are "
            f"decoded, and {home} has {free / 1e9:.1f} GB left; free some, choose another folder "
            "(SKEXPLORE_CACHE=DIR), or ask for a smaller side (--dataset FOLDER@SIDE)"
        )


def _refuse(source: Source, problems: list[str]) -> None:
    them = "it" if len(problems) == 1 else "them"
    try:
        complain(problems)
    except UserError as error:
        raise UserError(
            f"{error}\nmend or remove {them}, or leave out what is broken: "
            f"skexplore data fetch --dataset {source.place} --skip-broken"
        ) from None


def _decoded(
    source: Source, folder: Path, side: int, report: Progress
) -> tuple[dict[OwnPart, _Decoded], str, list[str]]:
    """Return the parts of ``source`` decoded into files of ``folder``, their digest, and what cannot be decoded."""
    what, total = (
        f"decoding {source.place}",
        sum(item.size for items in source.parts.values() for item in items),
    )
    done, problems = 0, list[str]()
    digest = hashlib.sha256("\n".join(source.classes).encode())
    parts: dict[OwnPart, _Decoded] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for part, items in source.parts.items():
            shape = (len(items), 3, side, side)
            images = np.lib.format.open_memmap(folder / f"{part}.npy", "w+", np.uint8, shape)
            own = parts[part] = _Decoded(images=images, labels=[])
            for start in range(0, len(items), CHUNK):
                report(what, done, total)
                chosen = items[start : start + CHUNK]
                for item, found in zip(
                    chosen, threads.map(partial(_read_image, side=side), chosen), strict=True
                ):
                    if isinstance(found, str):
                        problems.append(f"{item.name}: {found}")
                        continue
                    identity, pixels, coloured = found
                    digest.update(identity)
                    own.images[len(own.labels)] = pixels
                    own.labels.append(item.label)
                    own.coloured += coloured
                done += sum(item.size for item in chosen)
    return parts, digest.hexdigest(), problems


def _read_image(item: Item, side: int) -> tuple[bytes, Bytes, bool] | str:
    """Return what identifies an image, its pixels (3, side, side) and whether it has colours; or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that nothing here reads
            identity, image = item.read()
            image.draft(
                "RGB", (side, side)
            )  # a large JPEG is read at a fraction of its size, never below the side
            upright = ImageOps.exif_transpose(image)
            coloured = upright.mode not in GREY_MODES
            whole = _eight_bits(upright) if upright.mode in DEEP_MODES else upright
            fitted = ImageOps.fit(whole.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        return "is no image"
    except _BROKEN as error:
        return f"is broken ({str(error).strip() or type(error).__name__})"
    return identity, np.asarray(fitted).transpose(2, 0, 1), coloured


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits as one of 8."""
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))


def _written(own: OwnImages, parts: dict[OwnPart, _Decoded], folder: Path) -> OwnImages:
    """Write the arrays of ``parts`` and what is known of them into ``folder``; without a test part hold one out."""
    folder.mkdir()
    chosen = {part: np.arange(len(found.labels)) for part, found in parts.items()}
    origin: dict[OwnPart, OwnPart] = {part: part for part in parts}
    if own.test_held_out:
        order = stratified(np.array(parts["train"].labels))
        held = max(len(own.classes), len(order) // VAL_SHARE)
        chosen["test"], chosen["train"], origin["test"] = (
            np.sort(order[:held]),
            np.sort(order[held:]),
            "train",
        )
    _check_counts(own, chosen["train"])
    for part, indices in chosen.items():
        found = parts[origin[part]]
        shape = (len(indices), own.channels, own.side, own.side)
        images = np.lib.format.open_memmap(folder / f"{part}_images.npy", "w+", np.uint8, shape)
        for start in range(0, len(indices), CHUNK):
            here = slice(start, start + CHUNK)
            images[here] = found.images[indices[here], : own.channels]
        images.flush()
        np.save(folder / f"{part}_labels.npy", np.array(found.labels, np.uint16)[indices])
    mean, std = _moments(np.load(folder / "train_images.npy", mmap_mode="r"))
    whole = replace(own, counts={part: len(indices) for part, indices in chosen.items()}, mean=mean, std=std)
    write_atomic(folder / ABOUT, json.dumps(asdict(whole), indent=1))
    return whole


def _check_counts(own: OwnImages, train: NDArray[np.int64]) -> None:
    least = 2 * VAL_SHARE
    if len(train) < least:
        raise UserError(f"{own.place}: {len(train)} images to train on; there must be {least} or more")


def _moments(images: Bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation per channel of ``images`` (N, C, H, W), of pixels in 0..1, to four digits."""
    total, squares = np.zeros(images.shape[1]), np.zeros(images.shape[1])
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].astype(np.float64) / 255
        total += part.sum((0, 2, 3))
        squares += (part**2).sum((0, 2, 3))
    count = images.size // images.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-8))
    return tuple(np.round(mean, 4).tolist()), tuple(np.maximum(np.round(std, 4), 1e-4).tolist())


def _moved(own: OwnImages, place: Path) -> OwnImages:
    """Move what was decoded to the folder of its digest, unless the same images are there from elsewhere."""
    if _damage(own, own.folder):
        shutil.rmtree(own.folder, ignore_errors=True)
        place.rename(own.folder)
    else:  # the same files at another place, or touched
        write_atomic(own.folder / ABOUT, json.dumps(asdict(own), indent=1))
        shutil.rmtree(place)
    return own
