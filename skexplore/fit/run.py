"""A training of a whole network, from what was asked to the folder that is handed over."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from skexplore import __version__
from skexplore.data import (
    Content,
    Item,
    describe_own,
    get_dataset,
    is_own,
    items_of,
    prepare_data,
    remarks,
    split_indices,
)
from skexplore.engine import environment
from skexplore.errors import StudyError, UserError
from skexplore.fit.folder import hand_over, write_card
from skexplore.fit.images import ArrayImages, FileImages, Images, array_items
from skexplore.fit.loop import Fitting
from skexplore.fit.synced import Place, first_alone, join, leave
from skexplore.nn import Network, seeded_build
from skexplore.study import (
    Fit,
    FitEpoch,
    FitMetrics,
    FitSpec,
    Measured,
    differences,
    is_fit,
    load_fit,
    write_curve,
    write_metrics,
    write_spec,
)
from skexplore.training import Data, load_split, load_weights

CHECKPOINT, LOCK = "checkpoint.pt", "fit.lock"
LARGER = 10 / 7  # 320 pixels for a network of 224: section 4.1 measures at both
MOST_KEPT = 4e9  # bytes of decoded images that are kept on the device; more are read anew in each epoch
TRIED = 16  # images that are read to measure how long one takes


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What is asked of a training: ``spec`` but for its images, which are at ``data``, and how it is run.

    data: a known data set or a place of images. test: whether the test part is read at the end. init: a file of weights
    to begin with. accumulate: parts in which a batch goes through the network. minutes: between checkpoints within an
    epoch. workers: processes that read images, None for as many as cores. licence: of the model card. stop: asked after
    each update whether to end there.
    """

    folder: Path
    spec: FitSpec
    data: str
    data_dir: Path | None = None
    skip_broken: bool = False
    test: bool = False
    init: Path | None = None
    accumulate: int = 1
    minutes: float = 10.0
    workers: int | None = None
    device: str | None = None
    licence: str = "other"
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitProgress:
    """An epoch that is done. waiting: share of the time so far that passed outside forward, backward and step.

    enough: processes that would read images as fast as the network takes them, None where images are kept decoded.
    """

    epoch: FitEpoch
    epochs: int
    waiting: float
    enough: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What hears of a training: bytes of data as they are read, remarks, epochs; and says whether to stop."""

    on_data: Callable[[str, int, int], None] = lambda *_: None
    on_note: Callable[[str], None] = lambda _: None
    on_epoch: Callable[[FitProgress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False


def fit(request: FitRequest, listener: Listener | None = None) -> Fit:
    """Train a network to the end and leave its folder; a training that was interrupted goes on where it was.

    On one CPU process the weights are the same to the bit however often it was interrupted. Under ``torchrun`` all
    processes are one training, whose curve is that of one process up to rounding. Raises ``UserError`` for what cannot
    be trained and for a folder in use for something else, ``StudyError`` where a loss is not finite or memory is spent.
    """
    place = join(request.device)
    told = (listener or Listener()) if place.first else Listener()
    try:
        with _locked(request.folder, place):
            return _fit(request, place, told)
    except torch.OutOfMemoryError as error:
        raise StudyError(
            f"memory is spent ({str(error).splitlines()[0]}); repeat the command with --accumulate "
            f"{2 * request.accumulate}, which takes each batch in as many parts"
        ) from None
    finally:
        leave(place)


def _fit(request: FitRequest, place: Place, told: Listener) -> Fit:
    with first_alone(place):
        images, content = _images(request, place, told)
    spec = replace(request.spec, content=content, init=_digest(request.init))
    with first_alone(place):
        done = _begun(request, spec)
    if done and (done.error("test") is not None or not request.test):
        return done
    network = _network(spec, request.init if done is None else None, told)
    kept = load_weights(request.folder / "model.safetensors")[1] if done else None
    fitting = Fitting(
        network,
        spec.recipe,
        content.classes,
        place,
        seed=spec.seed,
        checkpoint=request.folder / CHECKPOINT,
        accumulate=request.accumulate,
        minutes=request.minutes,
    )
    if kept is not None and done is not None:
        return _with_test(request, fitting, kept, images, done)
    told_epoch = _Told(request, place, told, images, fitting)
    told_epoch.resumed()
    fitting.run(images, spec.resolution, on_epoch=told_epoch, stop=told.stop)
    parts = ("val", "test") if request.test else ("val",)
    measured = tuple(_measured(fitting, images, parts, spec))
    if place.first:
        missing = hand_over(
            request.folder,
            spec,
            fitting.kept.state_dict(),
            _metrics(request, spec, fitting, images, measured),
            request.licence,
        )
        for each in missing:
            told.on_note(f"not written: {each}")
        (request.folder / CHECKPOINT).unlink(missing_ok=True)
    with first_alone(place):
        return load_fit(request.folder)


@contextmanager
def _locked(folder: Path, place: Place) -> Iterator[None]:
    """Let no other training write into ``folder``."""
    if not place.first:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: another process trains there; wait for it, or choose another --out"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None
    try:
        yield
    finally:
        lock.release()


# Images


def _images(request: FitRequest, place: Place, told: Listener) -> tuple[Images, Content]:
    """Return what is trained on, and what is known of it: kept decoded where that serves, else read anew each time."""
    spec, recipe, side = request.spec, request.spec.recipe, request.spec.resolution
    workers = _workers(request, place)
    if not is_own(request.data):
        content = get_dataset(request.data).content
        folder = prepare_data(request.data, data_dir=request.data_dir, progress=told.on_data)
        if recipe.whole and side == content.side:
            return _arrays(folder, content, request, place), content
        if side != content.side:
            told.on_note(f"images of {content.side} pixels are scaled to {side}")
        found = {part: array_items(folder, part) for part in ("train", "test")}
    else:
        own = describe_own(request.data, skip_broken=request.skip_broken, progress=told.on_data)
        for remark in remarks(own):
            told.on_note(remark)
        if recipe.whole and sum(own.images.values()) * own.channels * side**2 <= MOST_KEPT:
            own = describe_own(f"{own.place}@{side}", skip_broken=True, progress=told.on_data)
            return _arrays(own.folder, own.content, request, place), own.content
        content, found = own.content, dict(items_of(own).items())
    parts = _split(found, content)
    images = FileImages(parts, content, recipe, resolution=side, seed=spec.seed, place=place, workers=workers)
    return images, content


def _workers(request: FitRequest, place: Place) -> int:
    return request.workers if request.workers is not None else max(1, (os.cpu_count() or 1) // place.world)


def _arrays(folder: Path, content: Content, request: FitRequest, place: Place) -> ArrayImages:
    train = content.most_train
    images, labels, val_images, val_labels = load_split(
        folder,
        train_images=train,
        val_images=content.most_val(train),
        device=place.device,
        own_val=bool(content.val),
    )
    data = Data(images=images, labels=labels, val_images=val_images, val_labels=val_labels, content=content)
    return ArrayImages(data, folder, request.spec.recipe, seed=request.spec.seed, place=place)


def _split(found: dict[str, list[Item]], content: Content) -> dict[str, Sequence[Item]]:
    """Return the parts, with a validation part as searches have it."""
    if "val" in found:
        return dict(found)
    labels = np.array([item.label for item in found["train"]])
    train = content.most_train
    chosen = split_indices(labels, train_images=train, val_images=content.most_val(train))
    own = {
        name: [found["train"][i] for i in numbers]
        for name, numbers in zip(("train", "val"), chosen, strict=True)
    }
    return {**found, **own}


# The folder and the network


def _begun(request: FitRequest, spec: FitSpec) -> Fit | None:
    """Write what is asked into the folder, or compare it with what is there; return the training if it is finished."""
    folder = request.folder
    if is_fit(folder):
        old = load_fit(folder)
        if old.spec != spec:
            here, there = _flat(spec), _flat(old.spec)
            if here["digest of images"] != there["digest of images"]:  # all else of them follows
                here, there = ({"digest of images": each["digest of images"]} for each in (here, there))
            raise UserError(
                f"{folder}: holds another training ({differences(here, there)}); give the options it was begun with, "
                "or another --out"
            )
        return old if old.metrics else None
    if any(path.name != LOCK for path in folder.iterdir()):
        raise UserError(f"{folder}: is not empty and holds no training; choose another --out")
    try:
        write_spec(folder, spec)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None
    return None


def _flat(spec: FitSpec) -> dict[str, object]:
    own = asdict(spec)
    recipe, content = own.pop("recipe"), own.pop("content")
    own |= {f"recipe {name}": value for name, value in recipe.items()}
    return own | {f"{name} of images": value for name, value in content.items()}


def _digest(weights: Path | None) -> str:
    if weights is None:
        return ""
    try:
        return sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--init {weights}: cannot be read ({error.strerror})") from None


def _network(spec: FitSpec, init: Path | None, told: Listener) -> Network:
    """Return the network before its first update; weights to begin with may have a classifier of other classes."""
    network = seeded_build(spec.architecture, seed=spec.seed)
    if init is None:
        return network
    state, own = load_weights(init)[1], network.state_dict()
    head = {name for name in own if name.startswith("classifier.")}
    wrong = sorted(
        name
        for name in {*own, *state} - head
        if name not in own or name not in state or own[name].shape != state[name].shape
    )
    if wrong:
        raise UserError(
            f"--init {init}: weights of another network ({len(wrong)} differ, the first is {wrong[0]})"
        )
    if any(name not in state or state[name].shape != own[name].shape for name in head):
        state |= {name: own[name] for name in head}
        told.on_note(f"{init} has another classifier; it begins with a fresh one")
    network.load_state_dict(state)
    return network


# What is measured


class _Told:
    """Writes the curve after each epoch and tells of it."""

    def __init__(
        self, request: FitRequest, place: Place, told: Listener, images: Images, fitting: Fitting
    ) -> None:
        self._request, self._place, self._told, self._images, self._fitting = (
            request,
            place,
            told,
            images,
            fitting,
        )
        self._reading = _seconds_to_read(images)

    def resumed(self) -> None:
        progress = self._fitting.progress
        if progress.curve or progress.step:
            self._told.on_note(f"going on after epoch {len(progress.curve)}, update {progress.step}")

    def __call__(self, curve: list[FitEpoch]) -> None:
        if not self._place.first:
            return
        write_curve(self._request.folder, curve)
        fitting = self._fitting
        busy = max(fitting.seconds - fitting.waiting, 1e-9)
        enough = None
        if self._reading is not None:  # of this process, which takes its part of the images
            seen = len(curve) * self._images.train_count / self._place.world
            enough = math.ceil(self._reading * seen / busy)
        self._told.on_epoch(
            FitProgress(
                epoch=curve[-1],
                epochs=self._request.spec.recipe.epochs,
                waiting=fitting.waiting / fitting.seconds,
                enough=enough,
            )
        )


def _seconds_to_read(images: Images) -> float | None:
    """Return how long one image takes to be read and changed, None where images are kept decoded."""
    if not isinstance(images, FileImages):
        return None
    began, count = time.monotonic(), min(TRIED, images.train_count)
    for number in range(count):
        images.pictures[0, number]
    return (time.monotonic() - began) / count


def _measured(fitting: Fitting, images: Images, parts: tuple[str, ...], spec: FitSpec) -> Iterator[Measured]:
    """Yield what the finished network gets wrong: at its own size, and larger where crops of random size allow it."""
    sides = [spec.resolution]
    if isinstance(images, FileImages) and spec.recipe.crop == "random-size":
        sides.append(round(spec.resolution * LARGER / 32) * 32 or 32)
    for part in parts:
        for side in dict.fromkeys(sides):
            loss, error = fitting.evaluate(images, part, side)
            yield Measured(part=part, resolution=side, images=images.count(part), loss=loss, error=error)


def _metrics(
    request: FitRequest, spec: FitSpec, fitting: Fitting, images: Images, measured: tuple[Measured, ...]
) -> FitMetrics:
    cost, place = spec.architecture.cost(), fitting.place
    return FitMetrics(
        measured=measured,
        params=cost.params,
        macs=cost.macs,
        train_images=images.train_count,
        seconds=fitting.seconds,
        waiting=fitting.waiting / fitting.seconds,
        environment=environment([place.device.type] * place.world)
        | {"threads": str(torch.get_num_threads())},
        command=request.command,
        version=__version__,
    )


def _with_test(
    request: FitRequest, fitting: Fitting, kept: dict[str, Tensor], images: Images, done: Fit
) -> Fit:
    """Return a finished training with what it gets wrong of the test part, which is read for the first time."""
    assert done.metrics is not None
    fitting.kept.load_state_dict(kept)
    measured = tuple(_measured(fitting, images, ("test",), done.spec))
    metrics = replace(done.metrics, measured=(*done.metrics.measured, *measured))
    write_card(done, metrics, request.licence)
    write_metrics(done.folder, metrics)
    return load_fit(done.folder)
