"""One plain training loop, cut into segments at epoch boundaries, and its checkpoints.

Images are uint8 (n x c x h x w) and labels int64 (n,), all of them on the device; losses are mean cross-entropies in
nats, errors fractions 0..1, times seconds. A checkpoint holds the network, the optimizer and the curve so far: order
and augmentation of an epoch follow from its number, so that no state of a random generator is kept.
"""

from __future__ import annotations

import io
import logging
import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skexplore.data import CIFAR, Content
from skexplore.files import write_atomic
from skexplore.nn import seeded_build, speed_up
from skexplore.study import Epoch, Recipe, TrainSpec
from skexplore.training.batches import eval_batches, normalise, train_batches
from skexplore.training.muon import Muon
from skexplore.training.whitening import WHITENED, whiten

EVAL_BATCH = 500

_log = logging.getLogger(__name__)  # of a worker it is written to workers.log


class DivergedError(RuntimeError):
    """A loss stopped being a finite number; ``curve`` holds the epochs before."""

    def __init__(self, message: str, curve: tuple[Epoch, ...]) -> None:
        super().__init__(message)
        self.curve = curve


class DamagedCheckpointError(ValueError):
    """A checkpoint is not what a training has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Training and validation images (uint8, n x c x h x w) and labels (int64), on one device, of ``content``."""

    images: Tensor
    labels: Tensor
    val_images: Tensor
    val_labels: Tensor
    content: Content = CIFAR


def _nothing(_part: str) -> None:
    pass


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the rate of update ``step`` (from 0) of all ``steps`` of a training, by ``recipe.schedule``."""
    ends = [epoch * steps // recipe.epochs for epoch in (0, *recipe.cycles, recipe.epochs)]
    begin, end = next(pair for pair in pairwise(ends) if step < pair[1])
    step, steps = step - begin, end - begin
    if recipe.schedule == "steps":  # supplement D
        return recipe.lr / (100 if 4 * step >= 3 * steps else 10 if 2 * step >= steps else 1)
    assert recipe.schedule == "one_cycle", recipe.schedule
    rise = max(1.0, recipe.warmup * steps)
    return recipe.lr * min((step + 1) / rise, (steps - step) / max(1.0, steps - rise))


def prepare(
    spec: TrainSpec, device: torch.device | str, images: Tensor | None = None
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return the network of ``spec`` as it is before its first update, on ``device``, and its optimizer.

    images: those it is trained on, of which a recipe may whiten the first convolution.
    """
    recipe = spec.recipe
    network = seeded_build(spec.architecture, seed=spec.seed)
    if recipe.whiten and images is not None:
        few = max(1, WHITENED * 32**2 // images[0, 0].numel())  # as many patches, whatever the size
        whiten(network.stem[0], normalise(images[:few].cpu(), spec.split.content))  # type: ignore[arg-type]
    network = speed_up(network.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
    return network, _optimizer(network, recipe)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "muon":
        return Muon(
            network,
            lr=recipe.lr,
            sgd_lr=recipe.sgd_lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
    assert recipe.optimizer == "sgd", recipe.optimizer
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def update(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, recipe: Recipe
) -> Tensor:
    """Make one update of ``network`` on a batch (b x 3 x h x w) and return its mean loss, detached."""
    with _autocast(images.device):
        loss = F.cross_entropy(network(images), labels, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    detached: Tensor = loss.detach()
    return detached


def train_segment(
    spec: TrainSpec,
    data: Data,
    *,
    checkpoint: Path,
    until: int,
    on_epoch: Callable[[Epoch], bool] = lambda _: True,
    lap: Callable[[str], None] = _nothing,
) -> tuple[nn.Module, tuple[Epoch, ...]]:
    """Train from ``checkpoint`` (from the start if there is none) to epoch ``until`` and return network and curve.

    On the CPU the result depends on ``spec`` alone: cut anywhere, it is the same to the bit (kernels of a GPU
    may differ in the last digits). The schedule spans all epochs of the recipe, whatever ``until``. The
    checkpoint is on disk after every epoch, before ``on_epoch`` is told of it (it returns False to end there);
    one that is at ``until`` already is what is returned, and from a damaged one the training begins again from
    its start, which the log says. ``lap`` is called with the name of each piece of work
    as it ends, for measurements. Raises ``DivergedError``, and torch's own errors (out of memory among them).
    """
    device = data.images.device
    network, optimizer = prepare(spec, device, data.images)
    try:
        curve = _restore(checkpoint, network, optimizer)
    except DamagedCheckpointError as error:
        _log.warning("%s: damaged (%s); the training begins again from its start", checkpoint, error)
        network, optimizer = prepare(spec, device, data.images)  # some of it may have been loaded
        curve = []
    lap("network")
    for number in range(len(curve), until):
        started = time.monotonic()
        train_loss = _train_epoch(network, optimizer, data, spec, number, lap)
        val_loss, val_error = evaluate(network, data.val_images, data.val_labels, data.content, lap)
        for name, loss in (("training", train_loss), ("validation", val_loss)):
            if not math.isfinite(loss):
                raise DivergedError(f"{name} loss is {loss} in epoch {number + 1}", tuple(curve))
        curve.append(
            Epoch(
                epoch=number + 1,
                train_loss=train_loss,
                val_loss=val_loss,
                val_error=val_error,
                seconds=time.monotonic() - started,
            )
        )
        lap("bookkeeping")
        _save(checkpoint, network, optimizer, curve)
        lap("checkpoints")
        if not on_epoch(curve[-1]):
            break
    return network, tuple(curve)


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    spec: TrainSpec,
    epoch: int,
    lap: Callable[[str], None],
) -> float:
    recipe = spec.recipe
    loader = train_batches(
        data.images,
        data.labels,
        batch_size=recipe.batch_size,
        seed=spec.seed,
        epoch=epoch,
        augment=recipe.augment,
        crop=recipe.crop,
        content=data.content,
    )
    per_epoch = _batches_per_epoch(len(data.images), recipe.batch_size)
    network.train()
    losses, weight = torch.zeros((), device=data.images.device), 0
    for number, (images, labels) in enumerate(loader):
        lap("training batches")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, epoch * per_epoch + number, recipe.epochs * per_epoch)
        loss = update(network, optimizer, images, labels, recipe)
        lap("updates")
        losses += loss * len(images)
        weight += len(images)
        lap("bookkeeping")
    return float(losses) / weight


def _batches_per_epoch(images: int, batch_size: int) -> int:
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)  # a last batch of one image is dropped: BatchNorm needs two


def _autocast(device: torch.device) -> Any:
    """bf16 is faster on GPUs; on CPUs without matrix units it costs time, so it stays off there."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def evaluate(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    content: Content = CIFAR,
    lap: Callable[[str], None] = _nothing,
) -> tuple[float, float]:
    """Return mean cross-entropy (nats) and error (fraction 0..1) on ``images`` (n x c x h x w, uint8)."""
    network.eval()
    loss, wrong = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    with torch.inference_mode():
        for batch, target in eval_batches(images, labels, batch_size=EVAL_BATCH, content=content):
            lap("validation batches")
            with _autocast(images.device):
                logits = network(batch)
            lap("validation forward")
            loss += F.cross_entropy(logits.float(), target, reduction="sum")
            wrong += (logits.argmax(1) != target).sum()
            lap("bookkeeping")
    return float(loss) / len(images), float(wrong) / len(images)


def answered_right(network: nn.Module, images: Tensor, labels: Tensor, content: Content = CIFAR) -> Tensor:
    """Return for each of the ``images`` (n x c x h x w, uint8) whether ``network`` gets it right."""
    network.eval()
    found = []
    with torch.inference_mode():
        for batch, target in eval_batches(images, labels, batch_size=EVAL_BATCH, content=content):
            with _autocast(images.device):
                found.append(network(batch).argmax(1) == target)
    return torch.cat(found)


def _save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, curve: list[Epoch]) -> None:
    buffer = io.BytesIO()
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curve": [asdict(epoch) for epoch in curve],
    }
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def out_of_memory(error: Exception) -> bool:
    """Return whether ``error`` says that memory, of the machine or of a GPU, is spent."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "alloc" in str(error).lower()  # all that torch says on a CPU
    )


def _restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Epoch]:
    """Load ``path`` into network and optimizer and return its curve, empty if there is no file.

    Raises ``DamagedCheckpointError`` for content that no training has written, of which nothing is executed, and what
    torch raises if memory is spent or the GPU fails: the file may be sound then.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        state, own = _read(content), network.state_dict()
        _check_shapes(state["network"], own)
        for name, tensor in own.items():
            tensor.copy_(state["network"][name])  # ``load_state_dict`` would hide what the GPU says
        optimizer.load_state_dict(state["optimizer"])
        return [Epoch(**epoch) for epoch in state["curve"]]
    except (MemoryError, RuntimeError):
        raise
    except Exception as error:  # whatever damaged bytes lead to
        # its name alone: torch's own words advise to execute what the file holds
        raise DamagedCheckpointError(type(error).__name__) from None


def _check_shapes(stored: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    if {name: each.shape for name, each in stored.items()} != {
        name: each.shape for name, each in own.items()
    }:
        raise ValueError("weights of another network")


def _read(content: bytes) -> Any:
    try:
        damaged = zipfile.ZipFile(io.BytesIO(content)).testzip()  # torch writes sums, but does not check them
        if damaged:
            raise zipfile.BadZipFile(damaged)
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except RuntimeError as error:  # of both for an archive that is none of torch's, too
        if out_of_memory(error):
            raise
        raise zipfile.BadZipFile(str(error)) from None
