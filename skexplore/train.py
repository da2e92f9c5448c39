"""One plain training loop, cut into segments at epoch boundaries."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skexplore.data import batches, eval_batches
from skexplore.files import write_atomic
from skexplore.model import seeded_build
from skexplore.recipe import Recipe, TrainSpec
from skexplore.record import Epoch

EVAL_BATCH = 500


class DivergedError(RuntimeError):
    """A loss stopped being a finite number; ``curve`` holds the epochs before."""

    def __init__(self, message: str, curve: tuple[Epoch, ...]) -> None:
        super().__init__(message)
        self.curve = curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Training and validation images (uint8, n x 3 x 32 x 32) and labels (int64), on one device."""

    images: Tensor
    labels: Tensor
    val_images: Tensor
    val_labels: Tensor


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the rate of update ``step`` (from 0) of ``steps``: linear warm-up, then linear decay to 0."""
    rise = max(1.0, recipe.warmup * steps)
    return recipe.lr * min((step + 1) / rise, (steps - step) / max(1.0, steps - rise))


def train_segment(
    spec: TrainSpec,
    data: Data,
    *,
    checkpoint: Path,
    until: int,
    on_epoch: Callable[[Epoch], bool] = lambda _: True,
) -> tuple[nn.Module, tuple[Epoch, ...]]:
    """Train from ``checkpoint`` (from the start if there is none) to epoch ``until`` and return network and curve.

    On the CPU the result depends on ``spec`` alone: cut anywhere, it is the same to the bit (kernels of a GPU
    may differ in the last digits). The checkpoint is written after every
    epoch; ``on_epoch`` is told of each and returns False to end there. Raises ``DivergedError``, and torch's
    own errors (out of memory among them).
    """
    device = data.images.device
    network = seeded_build(spec.block, spec.backbone, seed=spec.seed)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = spec.recipe
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    curve = _restore(checkpoint, network, optimizer, device)
    for number in range(len(curve), until):
        started = time.monotonic()
        train_loss = _train_epoch(network, optimizer, data, spec, number)
        val_loss, val_error = evaluate(network, data.val_images, data.val_labels)
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
        _save(checkpoint, network, optimizer, curve)
        if not on_epoch(curve[-1]):
            break
    return network, tuple(curve)


def _train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, data: Data, spec: TrainSpec, epoch: int
) -> float:
    recipe = spec.recipe
    loader = batches(
        data.images,
        data.labels,
        batch_size=recipe.batch_size,
        seed=spec.seed,
        epoch=epoch,
        augment=recipe.augment,
    )
    per_epoch = _batches_per_epoch(len(data.images), recipe.batch_size)
    network.train()
    losses, weight = torch.zeros((), device=data.images.device), 0
    for number, (images, labels) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, epoch * per_epoch + number, recipe.epochs * per_epoch)
        with _autocast(images.device):
            loss = F.cross_entropy(network(images), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses += loss.detach() * len(images)
        weight += len(images)
    return float(losses) / weight


def _batches_per_epoch(images: int, batch_size: int) -> int:
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)  # a last batch of one image is dropped: BatchNorm needs two


def _autocast(device: torch.device) -> Any:
    """bf16 pays on GPUs; on CPUs without matrix units it costs time, so it stays off there."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy (nats) and error (fraction 0..1) on ``images`` (n x 3 x 32 x 32, uint8)."""
    network.eval()
    loss, wrong = torch.zeros((), device=images.device), torch.zeros((), device=images.device)
    with torch.inference_mode():
        for batch, target in eval_batches(images, labels, batch_size=EVAL_BATCH):
            with _autocast(images.device):
                logits = network(batch)
            loss += F.cross_entropy(logits.float(), target, reduction="sum")
            wrong += (logits.argmax(1) != target).sum()
    return float(loss) / len(images), float(wrong) / len(images)


def _save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, curve: list[Epoch]) -> None:
    buffer = io.BytesIO()
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curve": [asdict(epoch) for epoch in curve],
    }
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def _restore(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device
) -> list[Epoch]:
    if not path.exists():
        return []
    state = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [Epoch(**epoch) for epoch in state["curve"]]
