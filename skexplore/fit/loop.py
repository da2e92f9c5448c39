"""The updates of a training, its checkpoints, and what is measured after each epoch.

Images are uint8 (b x c x h x w) until a batch is made; losses are mean cross-entropies in nats, errors fractions. A
checkpoint holds network, optimizer, average of weights, curve, and where in its epoch the training stands.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from skexplore.data import Content
from skexplore.errors import StudyError
from skexplore.files import write_atomic
from skexplore.fit.images import Pictures, train_loader
from skexplore.fit.recipes import FitRecipe
from skexplore.fit.synced import Place, mean_over_all, spread
from skexplore.training import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEpoch:
    """What one epoch of a training was: losses in nats, errors as fractions; None where nothing was validated on."""

    epoch: int
    lr: float
    train_loss: float
    val_loss: float | None
    val_error: float | None
    seconds: float


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a training stands: epochs that are done, updates of the one that is not, and the sum of their losses."""

    curve: list[FitEpoch] = field(default_factory=list)
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


class Fitting:
    """One training of a network: ``run`` takes it to the end, from where its checkpoint says it stood."""

    def __init__(
        self,
        network: nn.Module,
        recipe: FitRecipe,
        content: Content,
        place: Place,
        *,
        seed: int,
        checkpoint: Path,
        accumulate: int = 1,
        minutes: float = 10.0,
    ) -> None:
        self.recipe, self.content, self.place, self.seed = recipe, content, place, seed
        self.network = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._copy = spread(self.network, place)
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)) if recipe.ema else None
        self._checkpoint, self._accumulate, self._minutes = checkpoint, accumulate, minutes
        self.progress = self._restored()

    @property
    def best(self) -> nn.Module:
        """The network that is kept: the average of weights where the recipe has one."""
        return self.average.module if self.average else self.network

    def run(
        self,
        train: Pictures,
        val: Pictures | None,
        *,
        workers: int = 0,
        on_epoch: Callable[[FitEpoch], None] = lambda _: None,
    ) -> list[FitEpoch]:
        """Train to the last epoch and return the curve; raises ``StudyError`` where a loss is not finite."""
        while len(self.progress.curve) < self.recipe.epochs:
            self._epoch(train, workers)
            epoch = self._measured(val, workers)
            self.progress = Progress(curve=[*self.progress.curve, epoch])
            self._save()
            on_epoch(epoch)
        return self.progress.curve

    def _epoch(self, train: Pictures, workers: int) -> None:
        progress, epoch = self.progress, len(self.progress.curve)
        batch = min(self.recipe.batch_size, len(train) - len(train) % self.place.world)
        loader = train_loader(
            train, batch, epoch=epoch, seed=self.seed, rank=self.place.rank, world=self.place.world,
            start=progress.step, workers=workers,
        )  # fmt: skip
        per_epoch = max(1, len(train) // batch)
        started = saved = time.monotonic()
        before = progress.seconds
        self._copy.train()
        for images, labels in loader:
            rate = self.recipe.rate(epoch * per_epoch + progress.step, per_epoch)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            loss = float(mean_over_all(self._update(images, labels, epoch, progress.step), self.place))
            if not math.isfinite(loss):
                raise StudyError(f"training loss is {loss} in epoch {epoch + 1}; lower the learning rate (--lr)")
            progress.step += 1
            progress.loss_sum += loss
            progress.seconds = before + time.monotonic() - started
            if time.monotonic() - saved > 60 * self._minutes:
                self._save()
                saved = time.monotonic()

    def _update(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> Tensor:
        """Make one update on this process's part of a batch and return its mean loss."""
        total = torch.zeros((), device=self.place.device)
        self._optimizer.zero_grad(set_to_none=True)
        parts = list(zip(images.chunk(self._accumulate), labels.chunk(self._accumulate), strict=True))
        for number, (pixels, own) in enumerate(parts):
            batch = normalise(pixels.to(self.place.device, non_blocking=True), self.content)
            target = own.to(self.place.device, non_blocking=True)
            mixed, wanted = self._mixed(batch, target, epoch, step)
            with self._together(last=number == len(parts) - 1), self._autocast():
                loss = F.cross_entropy(self._copy(mixed), wanted, label_smoothing=self.recipe.label_smoothing)
                share = loss * (len(own) / len(labels))
                share.backward()  # type: ignore[no-untyped-call]
            total += share.detach()
        self._optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return total

    def _together(self, *, last: bool) -> AbstractContextManager[None]:
        """Return the context in which gradients are averaged over processes: in the last part of a batch alone."""
        waits = getattr(self._copy, "no_sync", None)
        return nullcontext() if last or waits is None else waits()

    def _autocast(self) -> Any:
        return torch.autocast(self.place.device.type, dtype=torch.bfloat16, enabled=self.place.device.type == "cuda")

    def _mixed(self, batch: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch with images mixed by pairs, and what is wanted of them, where the recipe mixes."""
        kinds: list[Any] = []
        if self.recipe.mixup:
            kinds.append(v2.MixUp(alpha=self.recipe.mixup, num_classes=self.content.classes))
        if self.recipe.cutmix:
            kinds.append(v2.CutMix(alpha=self.recipe.cutmix, num_classes=self.content.classes))
        if not kinds:
            return batch, labels
        own = int(np.random.SeedSequence([self.seed, epoch, step, 1]).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            pixels, wanted = v2.RandomChoice(kinds)(batch, labels)
        return pixels, wanted

    def _measured(self, val: Pictures | None, workers: int) -> FitEpoch:
        progress = self.progress
        found = evaluate(self.best, val, self.content, self.place.device, workers) if val is not None else None
        return FitEpoch(
            epoch=len(progress.curve) + 1,
            lr=self._optimizer.param_groups[0]["lr"],
            train_loss=progress.loss_sum / max(1, progress.step),
            val_loss=found[0] if found else None,
            val_error=found[1] if found else None,
            seconds=progress.seconds,
        )

    def _save(self) -> None:
        if not self.place.first:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "progress": asdict(self.progress),
        }
        held = io.BytesIO()
        torch.save(state, held)
        write_atomic(self._checkpoint, held.getvalue())

    def _restored(self) -> Progress:
        if not self._checkpoint.exists():
            return Progress()
        state = torch.load(self._checkpoint, map_location=self.place.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.average is not None and state["average"]:
            self.average.load_state_dict(state["average"])
        stored = state["progress"]
        return Progress(**stored | {"curve": [FitEpoch(**each) for each in stored["curve"]]})


def evaluate(
    network: nn.Module, pictures: Pictures, content: Content, device: torch.device, workers: int = 0, batch: int = 250
) -> tuple[float, float]:
    """Return mean cross-entropy (nats) and error (fraction) of ``network`` on ``pictures``."""
    network.eval()
    keys = [[(0, number) for number in range(at, min(at + batch, len(pictures)))] for at in range(0, len(pictures), batch)]
    loader: DataLoader[Any] = DataLoader(pictures, batch_sampler=keys, num_workers=workers)
    loss, wrong = torch.zeros((), device=device), torch.zeros((), device=device)
    with torch.inference_mode():
        for images, labels in loader:
            target = labels.to(device)
            logits = network(normalise(images.to(device), content)).float()
            loss += F.cross_entropy(logits, target, reduction="sum")
            wrong += (logits.argmax(1) != target).sum()
    return float(loss) / len(pictures), float(wrong) / len(pictures)
