"""A training of a whole network, from what was asked to the folder that is handed over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from skexplore import __version__
from skexplore.data import (
    MOST_SIDE,
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
from skexplore.fit.folder import CARD, WEIGHTS, hand_over
from skexplore.fit.images import ArrayImages, FileImages, Images, array_items, per_epoch
from skexplore.fit.loop import Fitting
from skexplore.fit.synced import Place, first_alone, join, leave
from skexplore.nn import Network, gpu_model, seeded_build
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
from skexplore.training import Data, core_count, load_split, load_weights, save_weights
from skexplore.words import counted

CHECKPOINT, LOCK = "checkpoint.pt", "fit.lock"
LARGER = 10 / 7  # 320 pixels for a network of 224: section 4.1 measures at both
MOST_KEPT = 4e9  # bytes of decoded images that are kept on the device; more are read anew in each epoch
TRIED = 16  # images that are read to measure how long one takes


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What is asked of a training: ``spec`` but for its images, which are at ``data``, and how it is run.

    data: a known data set or a place of images. test: whether the test part is read at the end. init: a file of weights
    to begin with. minutes: between checkpoints within an epoch. workers: processes that read images, None for as many
    as cores. licence: of the model card, empty for that of before.
    """

    folder: Path
    spec: FitSpec
    data: str
    data_dir: Path | None = None
    skip_broken: bool = False
    test: bool = False
    init: Path | None = None
    minutes: float = 10.0
    workers: int | None = None
    device: str | None = None
    licence: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitProgress:
    """An epoch that is done, the last of ``curve``.

    waiting: share of the time so far that images were waited for, None where they are kept decoded. enough: processes
    that would read them as fast as the network takes them, None where there are as many.
    """

    curve: tuple[FitEpoch, ...]
    epochs: int
    waiting: float | None
    enough: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What hears of a training: bytes of data as they are read, remarks, epochs.

    stop: asked after each update whether to end there.
    """

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
            f"memory is spent ({str(error).splitlines()[0]}); begin another training (--out) with --accumulate "
            f"{2 * request.spec.accumulate}, which takes each batch in as many parts"
        ) from None
    finally:
        leave(place)


def _fit(request: FitRequest, place: Place, told: Listener) -> Fit:
    with first_alone(place):
        images, content = _images(request, place, told)
        spec = replace(request.spec, content=content, init=_digest(request.init))
        _check_parts(images, spec, place)
        done = _begun(request, spec)
    if done is None or done.metrics is None:
        if images.batch_size < spec.recipe.batch_size:
            told.on_note(
                f"{images.train_count} images to train on: batches of {images.batch_size}, an epoch has "
                f"{counted(per_epoch(images), 'update')}; a recipe with a smaller batch_size makes more"
            )
        done = _trained(request, spec, images, place, told)
    else:
        told.on_note("this training was finished before; nothing is trained again")
    if request.test and done.error("test") is None:
        done = _with_test(request, done, images, place)
    if place.first:
        done = _handed_over(request, done, told)
    return done


def _trained(request: FitRequest, spec: FitSpec, images: Images, place: Place, told: Listener) -> Fit:
    """Train to the end; the weights and what was measured are on disk then."""
    fitting = _fitting(request, spec, _network(spec, request.init, told), place)
    teller = _Teller(request, place, told, images, fitting)
    teller.resumed()
    fitting.run(images, spec.resolution, on_epoch=teller, stop=told.stop)
    measured = tuple(_measured(fitting, images, "val", spec))
    if place.first:
        metrics = _metrics(request, spec, fitting, images, measured)
        digest = save_weights(request.folder / WEIGHTS, fitting.kept.state_dict())
        write_curve(request.folder, fitting.progress.curve)
        write_metrics(request.folder, replace(metrics, files={WEIGHTS: digest}))
    with first_alone(place):
        return load_fit(request.folder)


def _with_test(request: FitRequest, done: Fit, images: Images, place: Place) -> Fit:
    """Read the test part, and write what the finished network gets wrong of it before anything else."""
    assert done.metrics is not None
    state = load_weights(done.folder / WEIGHTS, done.metrics.files[WEIGHTS])[1]
    fitting = _fitting(request, done.spec, Network(done.spec.architecture), place, resume=False)
    fitting.kept.load_state_dict(state)
    measured = (*done.metrics.measured, *_measured(fitting, images, "test", done.spec))
    if place.first:
        write_metrics(done.folder, replace(done.metrics, measured=measured, command=request.command))
        (done.folder / CARD).unlink(missing_ok=True)  # it says otherwise
    with first_alone(place):
        return load_fit(done.folder)


def _handed_over(request: FitRequest, done: Fit, told: Listener) -> Fit:
    """Write what of a finished training is handed over, unless all of it is there."""
    assert done.metrics is not None
    metrics = done.metrics
    licence = request.licence or metrics.licence
    if licence != metrics.licence or not _intact(done):
        for each in hand_over(done, replace(metrics, licence=licence)):
            told.on_note(f"not written: {each}")
    (done.folder / CHECKPOINT).unlink(missing_ok=True)
    return load_fit(done.folder)


def _intact(done: Fit) -> bool:
    """Return whether all that was handed over is there as it was written, and the card, which comes last."""
    files = done.metrics.files if done.metrics else {}
    there = all(
        (done.folder / name).is_file() and sha256((done.folder / name).read_bytes()).hexdigest() == each
        for name, each in files.items()
    )
    return there and (done.folder / CARD).is_file()


def _fitting(
    request: FitRequest, spec: FitSpec, network: Network, place: Place, *, resume: bool = True
) -> Fitting:
    return Fitting(
        network,
        spec.recipe,
        spec.content.classes,
        place,
        seed=spec.seed,
        checkpoint=request.folder / CHECKPOINT if resume else None,
        accumulate=spec.accumulate,
        minutes=request.minutes,
    )


@contextmanager
def _locked(folder: Path, place: Place) -> Iterator[None]:
    """Let no other training write into ``folder``, and leave no empty one behind."""
    lock = None
    with first_alone(place):
        if place.first:
            lock = _lock(folder)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()


def _lock(folder: Path) -> FileLock:
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
    return lock


def _check_parts(images: Images, spec: FitSpec, place: Place) -> None:
    """Raise ``UserError`` where BatchNorm would see parts of a batch of less than two images."""
    share = images.batch_size // place.world
    least = share % -(-share // spec.accumulate) or -(-share // spec.accumulate)
    if least < 2 or spec.accumulate > share // 2:
        raise UserError(
            f"--accumulate {spec.accumulate}: batches of {share} images (a process) would come in parts of less than "
            f"two; give at most {max(1, share // 2)}"
        )


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
        wanted = ("train", "test") if request.test else ("train",)
        found = {part: array_items(folder, part) for part in wanted}
    else:
        own = describe_own(request.data, skip_broken=request.skip_broken, progress=told.on_data)
        for remark in remarks(own):
            told.on_note(remark)
        small = side <= MOST_SIDE and sum(own.images.values()) * own.channels * side**2 <= MOST_KEPT
        if recipe.whole and small:
            own = describe_own(f"{own.place}@{side}", skip_broken=True, progress=told.on_data)
            return _arrays(own.folder, own.content, request, place), own.content
        content, found = own.content, dict(items_of(own).items())
    parts = _split(found, content)
    images = FileImages(parts, content, recipe, resolution=side, seed=spec.seed, place=place, workers=workers)
    return images, content


def _workers(request: FitRequest, place: Place) -> int:
    return request.workers if request.workers is not None else max(1, core_count() // place.world)


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


class _Teller:
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
            self._tell_curve(progress.curve)
            self._told.on_note(f"going on after epoch {len(progress.curve)}, update {progress.step}")

    def _tell_curve(self, curve: list[FitEpoch]) -> None:
        if self._place.first:
            write_curve(self._request.folder, curve)

    def __call__(self, curve: list[FitEpoch]) -> None:
        self._tell_curve(curve)
        fitting = self._fitting
        busy = max(fitting.seconds - fitting.waiting, 1e-9)
        waiting = enough = None
        if self._reading is not None:  # of this process, which takes its part of the images
            waiting = fitting.waiting / fitting.seconds
            seen = len(curve) * self._images.train_count / self._place.world
            needed = math.ceil(self._reading * seen / busy)
            enough = needed if needed > _workers(self._request, self._place) else None
        self._told.on_epoch(
            FitProgress(
                curve=tuple(curve), epochs=self._request.spec.recipe.epochs, waiting=waiting, enough=enough
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


def _measured(fitting: Fitting, images: Images, part: str, spec: FitSpec) -> Iterator[Measured]:
    """Yield what the finished network gets wrong: at its own size, and larger where crops of random size allow it."""
    sides = [spec.resolution]
    if isinstance(images, FileImages) and spec.recipe.crop == "random-size":
        sides.append(round(spec.resolution * LARGER / 32) * 32 or 32)
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
        environment=environment([place.device.type] * place.world) | _device(place),
        command=request.command,
        version=__version__,
        labels=_labels(request.data),
        licence=request.licence or "other",
    )


def _labels(data: str) -> tuple[str, ...]:
    """Return the names of the classes, in the order of logits."""
    return describe_own(data, skip_broken=True).classes if is_own(data) else get_dataset(data).names


def _device(place: Place) -> dict[str, str]:
    if place.device.type == "cuda":
        return {"gpu": gpu_model(str(place.device))}
    return {"threads": str(torch.get_num_threads())}
