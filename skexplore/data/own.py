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
import shlex
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skexplore.data.cache import cache_home
from skexplore.data.datasets import DATASETS, Content
from skexplore.data.pixels import BROKEN, plain_image
from skexplore.data.placing import put_in_place
from skexplore.data.releases import Bytes, FileCheck, Progress
from skexplore.data.sources import Item, OwnPart, Source, complain, files_of, find_source
from skexplore.data.split import VAL_SHARE, held_out
from skexplore.errors import UserError, lookup
from skexplore.files import read_json, write_atomic
from skexplore.words import counted, first_of

ABOUT = "about.json"
SIDE = 32  # pixels, where none is asked for: what the proxies are made for
MOST_SIDE = 1024
DIGEST = 32  # bytes of SHA-256
CHUNK = 1024  # images decoded or converted at a time
DULL = 0.02  # a deviation of pixels below this says that they were stored in another range
FEW = 200  # images to validate on, below which it is said how coarse an error is
UNEQUAL = 2  # classes that differ by more than this factor are said


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnImages:
    """What a cached folder of a user's own images holds: ``about.json``.

    place: where they were found. stamp: of names, sizes and times of the files there. digest: of what is in them.
    counts: images of each class, by part. skipped: broken images left out, broken: which, by their number in a part.
    test_held_out: whether there was no test part, so that it is a tenth of train. twice: images of other parts that are
    in train too. unused: folders that are no part. sums: SHA-256 of each file of arrays.
    """

    name: str
    place: str
    stamp: str
    digest: str
    side: int
    channels: int
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: int = 0
    broken: dict[str, tuple[int, ...]] = field(default_factory=dict)
    test_held_out: bool = False
    twice: int = 0
    unused: tuple[str, ...] = ()
    sums: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> dict[str, int]:
        """How many images each part has."""
        return {part: sum(counts) for part, counts in self.counts.items()}

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
            train=self.images["train"],
            val=self.images.get("val", 0),
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
    full = place.expanduser().absolute()
    stamp = _stamp(full) if full.exists() else ""
    for known in _known():
        same = (known.place, known.stamp) == (str(full), stamp)
        old = known.skipped > 0 and not known.broken  # by a version that did not write down which
        if same and known.side == side and not old and not _damage(known, known.folder):
            return known
        skip_broken |= same and known.skipped > 0  # at another side
    return _decode(find_source(full), text, _name(full), stamp, side, skip_broken=skip_broken, report=report)


def content_of(text: str, *, skip_broken: bool = False, progress: Progress | None = None) -> Content:
    """Return what the data set ``text`` holds: a known name, or ``PLACE`` or ``PLACE@SIDE`` of a user's own images.

    Raises ``UserError`` for a name that is not known, and as ``describe_own``.
    """
    if not is_own(text):
        known = f"known: {', '.join(DATASETS)}, or a folder of your own images, which {text} is not"
        return lookup(text, DATASETS, what="dataset", where=known).content
    return describe_own(text, skip_broken=skip_broken, progress=progress).content


def items_of(own: OwnImages) -> dict[OwnPart, list[Item]]:
    """Return the images of ``own`` where they lie, part by part, as its arrays have them: to be read at full size.

    Raises ``UserError`` where they are not there any more, or are others than those that were described.
    """
    place = Path(own.place)
    if not place.exists() or _stamp(place) != own.stamp:
        raise UserError(
            f"{place}: its files were changed since they were described; repeat the command, which describes them anew"
        )
    parts: dict[OwnPart, list[Item]] = {}
    for part, items in find_source(place).parts.items():
        broken = set(own.broken.get(part, ()))
        parts[part] = [item for number, item in enumerate(items) if number not in broken]
    if own.test_held_out:
        whole = parts["train"]
        held = set(held_out(np.array([item.label for item in whole])).tolist())
        parts["test"] = [whole[number] for number in sorted(held)]
        parts["train"] = [item for number, item in enumerate(whole) if number not in held]
    return parts


def is_own(text: str) -> bool:
    """Return whether ``text`` is of a user's own images: no known name, and there or written as a path."""
    if text in DATASETS:
        return False
    place, _ = place_of(text)
    return place.expanduser().exists() or bool(re.search(r"[/\\.]", text))


def prepare_own(own: Content, *, data_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the folder of the cached arrays of ``own``, decoded again from ``data_dir`` if they are not there.

    Raises ``UserError`` where they are not there and ``data_dir`` (or ``SKEXPLORE_DATA``) is not given or holds other
    images, and as ``describe_own``.
    """
    for known in _known():
        if (known.digest, known.side) == (own.digest, own.side) and not _damage(known, known.folder):
            return known.folder
    option = "--data-dir" if data_dir else "SKEXPLORE_DATA"
    given = data_dir or os.environ.get("SKEXPLORE_DATA")
    if not given:
        raise UserError(
            f"{own_folder(own.name, own.digest, own.side)}: the images of {own.name} are not cached there; give the "
            "folder that holds them: --data-dir DIR"
        )
    if not Path(given).expanduser().exists():
        raise UserError(
            f"{option} {given}: there is no such folder or file; give that of the images of {own.name}"
        )
    here = describe_own(f"{given}@{own.side}", skip_broken=True, progress=progress)  # the digest decides
    if here.digest != own.digest:
        raise UserError(
            f"{option} {given}: holds other images than {own.name} had (digest {here.digest[:12]}, expected "
            f"{own.digest[:12]}); errors of both cannot be compared. Give the images as they were, or begin a study of "
            "another name"
        )
    return here.folder


def place_of(text: str) -> tuple[Path, int]:
    """Return the place and the side in pixels that ``PLACE`` or ``PLACE@SIDE`` asks for; raises ``UserError``."""
    place, at, size = text.rpartition("@")
    if not at or not (size.isascii() and size.isdigit()) or Path(text).expanduser().exists():
        return Path(text), SIDE
    if place in DATASETS:
        raise UserError(
            f"--dataset {text}: the images of {place} have {DATASETS[place].content.side} pixels; leave @{size} out"
        )
    if not 8 <= int(size) <= MOST_SIDE:
        raise UserError(f"--dataset {text}: a side of {size} pixels; it must be between 8 and {MOST_SIDE:,}")
    return Path(place), int(size)


def _name(place: Path) -> str:
    """Return the name under which images of ``place`` are known, fit for files and studies."""
    name = re.sub(
        r"[^a-z0-9]+", "-", place.name.removesuffix(place.suffix if place.is_file() else "").lower()
    )
    name = name.strip("-") or f"images-{hashlib.sha256(place.name.encode()).hexdigest()[:6]}"
    return f"{name}-own" if name in DATASETS else name


def _stamp(place: Path) -> str:
    """Return a digest of names, sizes and times of all files of ``place``: what can be told without reading them."""
    files = [place] if place.is_file() else sorted(files_of(place))
    found = hashlib.sha256()
    for file in files:
        name = file.name if file == place else file.relative_to(place).as_posix()
        try:
            facts = file.stat()
        except OSError:  # a link that leads nowhere
            found.update(f"{name}\0\n".encode())
            continue
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
        listed = {name: tuple(data[name]) for name in ("classes", "mean", "std", "unused")}
        by_part = {
            name: {part: tuple(each) for part, each in data.get(name, {}).items()}
            for name in ("counts", "broken")
        }
        return OwnImages(**data | listed | by_part)
    except (UserError, TypeError, KeyError, AttributeError):
        return None


def _damage(own: OwnImages, folder: Path) -> str:
    """Say what is wrong with the arrays of ``own`` in ``folder``, "" if nothing: sizes, not contents."""
    for part, count in own.images.items():
        for kind, size in (("images", own.channels * own.side**2), ("labels", 2)):
            path = folder / f"{part}_{kind}.npy"
            if not path.is_file() or path.stat().st_size <= count * size:  # a header comes first
                return f"{path.name} is missing or truncated"
    return ""


# Decoding


@dataclass(slots=True, kw_only=True)
class _Decoded:
    """Images of a part as they were decoded, 3 x side x side each, their labels, and how many hold colours.

    broken: numbers of those that cannot be decoded.
    """

    images: Bytes
    labels: list[int]
    broken: list[int] = field(default_factory=list)
    coloured: int = 0


@dataclass(slots=True, kw_only=True)
class _Found:
    """A source once it is decoded: its parts, their digest, and what cannot be decoded.

    twice: how many images of other parts are in train too.
    """

    parts: dict[OwnPart, _Decoded]
    digest: str
    problems: list[str]
    twice: int


def _decode(
    source: Source, text: str, name: str, stamp: str, side: int, *, skip_broken: bool, report: Progress
) -> OwnImages:
    """Decode all images of ``source`` into the cache and return what is known of them."""
    _check_room(source, side)
    made: list[OwnImages] = []

    def make(temporary: Path, fresh: Path) -> None:
        found = _decoded(source, temporary, side, report)
        if found.problems and not skip_broken:
            _refuse(text, found.problems)
        own = OwnImages(
            name=name,
            place=str(source.place),
            stamp=stamp,
            digest=found.digest,
            side=side,
            channels=3 if any(part.coloured for part in found.parts.values()) else 1,
            classes=source.classes,
            counts={},
            mean=(),
            std=(),
            skipped=len(found.problems),
            broken={part: tuple(each.broken) for part, each in found.parts.items() if each.broken},
            test_held_out="test" not in found.parts,
            twice=found.twice,
            unused=source.unused,
        )
        made.append(_written(own, found.parts, fresh))

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


def _refuse(text: str, problems: list[str]) -> None:
    them = "it" if len(problems) == 1 else "them"
    try:
        complain(problems)
    except UserError as error:
        raise UserError(
            f"{error}\nmend or remove {them}, or leave out what is broken: "
            f"skexplore data fetch --dataset {shlex.quote(text)} --skip-broken"
        ) from None


def _decoded(source: Source, folder: Path, side: int, report: Progress) -> _Found:
    """Return the parts of ``source``, decoded into files of ``folder``."""
    what, total = (
        f"decoding {source.place}",
        sum(item.size for part in source.parts.values() for item in part),
    )
    done, problems, twice = 0, list[str](), 0
    trained: set[bytes] = set()  # contents of train
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
                read = threads.map(partial(_read_image, side=side), chosen)
                for number, (item, found) in enumerate(zip(chosen, read, strict=True), start):
                    if isinstance(found, str):
                        problems.append(f"{item.name}: {found}")
                        own.broken.append(number)
                        continue
                    identity, pixels, coloured = found
                    digest.update(identity)
                    if part == "train":
                        trained.add(identity[-DIGEST:])
                    else:
                        twice += identity[-DIGEST:] in trained
                    own.images[len(own.labels)] = pixels
                    own.labels.append(item.label)
                    own.coloured += coloured
                done += sum(item.size for item in chosen)
            digest.update(f"\n{part} {len(own.labels)}\n".encode())
    return _Found(parts=parts, digest=digest.hexdigest(), problems=problems, twice=twice)


def _read_image(item: Item, side: int) -> tuple[bytes, Bytes, bool] | str:
    """Return what identifies an image, its pixels (3, side, side) and whether it has colours; or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that nothing here reads
            identity, image = item.read()
            image.draft(
                "RGB", (side, side)
            )  # a large JPEG is read at a fraction of its size, never below the side
            whole = plain_image(image)
            coloured = whole.mode != "L"
            fitted = ImageOps.fit(whole.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        return "is no image"
    except BROKEN as error:
        return f"is broken ({str(error).strip() or type(error).__name__})"
    return identity, np.asarray(fitted).transpose(2, 0, 1), coloured


def _written(own: OwnImages, parts: dict[OwnPart, _Decoded], folder: Path) -> OwnImages:
    """Write the arrays of ``parts`` and what is known of them into ``folder``; without a test part hold one out."""
    folder.mkdir()
    chosen = {part: np.arange(len(found.labels)) for part, found in parts.items()}
    origin: dict[OwnPart, OwnPart] = {part: part for part in parts}
    if own.test_held_out:
        held = held_out(np.array(parts["train"].labels))
        chosen["test"], chosen["train"] = held, np.setdiff1d(chosen["train"], held)
        origin["test"] = "train"
    labels = {part: np.array(parts[origin[part]].labels, np.uint16)[each] for part, each in chosen.items()}
    size = len(own.classes)
    counts: dict[str, tuple[int, ...]] = {
        part: tuple(np.bincount(each, minlength=size).tolist()) for part, each in labels.items()
    }
    _check_counts(own, counts)
    for part, indices in chosen.items():
        found = parts[origin[part]]
        shape = (len(indices), own.channels, own.side, own.side)
        images = np.lib.format.open_memmap(folder / f"{part}_images.npy", "w+", np.uint8, shape)
        for start in range(0, len(indices), CHUNK):
            here = slice(start, start + CHUNK)
            images[here] = found.images[indices[here], : own.channels]
        images.flush()
        np.save(folder / f"{part}_labels.npy", labels[part])
    mean, std = _moments(np.load(folder / "train_images.npy", mmap_mode="r"))
    sums = {path.name: _sum(path) for path in sorted(folder.glob("*.npy"))}
    whole = replace(own, counts=counts, mean=mean, std=std, sums=sums)
    write_atomic(folder / ABOUT, json.dumps(asdict(whole), indent=1))
    return whole


def _check_counts(own: OwnImages, counts: dict[str, tuple[int, ...]]) -> None:
    """Raise ``UserError`` where a part lacks a class, or there are too few images to train on."""
    problems = []
    for part, found in counts.items():
        empty = [name for name, count in zip(own.classes, found, strict=True) if not count]
        left = f" once {own.skipped:,} broken ones are left out" if own.skipped else ""
        held = " besides those that are held out for test" if own.test_held_out and part == "train" else ""
        if empty:
            problems.append(f"{own.place}: {part} has no image of {first_of(empty)}{left}{held}")
    complain(problems)
    least, count = 2 * VAL_SHARE, sum(counts["train"])
    if count < least:
        rest = f", and {sum(counts['test'])} are held out for test" if own.test_held_out else ""
        raise UserError(
            f"{own.place}: {count} images to train on{rest}; there must be {least} to train on or more"
        )


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect_own(own: OwnImages) -> Iterator[FileCheck]:
    """Yield a check of every cached file of arrays of ``own``, byte for byte."""
    for name, expected in own.sums.items():
        path = own.folder / name
        found = _sum(path) if path.is_file() else "nothing"
        detail = f"SHA-256 {expected[:12]}" + ("" if found == expected else f", found {found[:12]}")
        yield FileCheck(name=name, ok=found == expected, detail=detail)


def remarks(own: OwnImages) -> Iterator[str]:
    """Yield what a user should know of ``own`` before errors are believed."""
    for name in own.unused:
        yield f"the folder {name} is no part and is not used"
    if own.skipped:
        yield f"{counted(own.skipped, 'broken image')} left out"
    if own.twice:
        yield f"{counted(own.twice, 'image')} outside train {'is' if own.twice == 1 else 'are'} in train too"
    if max(own.std) < DULL:
        yield f"pixels hardly differ (deviation {max(own.std):.4f} of 0 to 1): are they of another range than 0 to 255?"
    train = own.counts["train"]
    small, large = min(train), max(train)
    if large > UNEQUAL * small:
        names = [own.classes[train.index(size)] for size in (small, large)]
        yield (
            f"classes differ in size: {small:,} images of {names[0]}, {large:,} of {names[1]}; an error is that of all "
            "images, so that the large classes decide it"
        )
    judged = own.images.get("val") or own.images["train"] // VAL_SHARE
    if judged < FEW:
        yield f"{judged} images to validate on: an error moves in steps of {100 / judged:.2g} points"


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
