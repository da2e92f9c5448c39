"""The updates of a training, its checkpoints, and what is measured after each epoch.

Losses are mean cross-entropies in nats, errors fractions. A checkpoint holds network, optimizer, average of weights,
curve, and where in its epoch the training stands; order and changes of images follow from numbers.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from skexplore.errors import StudyError, UserError
from skexplore.files import write_atomic
from skexplore.fit.images import Images, per_epoch
from skexplore.fit.synced import Place, spread, sum_over_all
from skexplore.nn import speed_up
from skexplore.study import FitEpoch, FitRecipe

LOOK = 50  # updates after which it is looked whether the loss is still finite: looking waits for a GPU


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a training stands: epochs that are done, updates of the one that is not, the sum of their losses.

    seconds: of these updates, waiting: of them, those in which the next batch was made or waited for; on a GPU, which
    computes meanwhile, that is the most that it waited.
    """

    curve: list[FitEpoch] = field(default_factory=list)
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    waiting: float = 0.0


class Fitting:
    """One training of a network: ``run`` takes it to the end, from where its checkpoint says it stood."""

    def __init__(
        self,
        network: nn.Module,
        recipe: FitRecipe,
        classes: int,
        place: Place,
        *,
        seed: int,
        checkpoint: Path | None,
        accumulate: int = 1,
        minutes: float = 10.0,
    ) -> None:
        self._recipe, self._classes, self.place, self._seed = recipe, classes, place, seed
        self.network = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if place.device.type == "cpu":
            speed_up(self.network)
        self._copy = spread(self.network, place)
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
        )
        self._average = deepcopy(self.network).eval().requires_grad_(False) if recipe.ema else None
        self._checkpoint, self._accumulate, self._minutes = checkpoint, accumulate, minutes
        self.seconds = self.waiting = 0.0  # of all epochs
        self.progress = self._restored()

    @property
    def kept(self) -> nn.Module:
        """The network that is kept: the average of weights where the recipe has one."""
        kept: nn.Module = self.network if self._average is None else self._average
        return kept

    def run(
        self,
        images: Images,
        side: int,
        *,
        on_epoch: Callable[[list[FitEpoch]], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[FitEpoch]:
        """Train to the last epoch and return the curve; raises ``StudyError`` where a loss is not finite.

        on_epoch: is told of the curve after each epoch, when the checkpoint is on disk. stop: asked after each update;
        where it says so a checkpoint is written and ``KeyboardInterrupt`` raised.
        """
        while len(self.progress.curve) < self._recipe.epochs:
            self._epoch(images, stop)
            done = self.progress
            loss, error = self.evaluate(images, "val", side)
            epoch = FitEpoch(
                epoch=len(done.curve) + 1,
                lr=self._optimizer.param_groups[0]["lr"],
                train_loss=done.loss_sum / done.step,
                val_loss=loss,
                val_error=error,
                seconds=done.seconds,
            )
            self.seconds += done.seconds
            self.waiting += done.waiting
            self.progress = Progress(curve=[*done.curve, epoch])
            self._save()
            on_epoch(self.progress.curve)
        return self.progress.curve

    def evaluate(self, images: Images, part: str, side: int) -> tuple[float, float]:
        """Return mean cross-entropy and error of the network that is kept on ``part`` of ``images``."""
        network, device = self.kept, self.place.device
        network.eval()
        sums = torch.zeros(2, device=device)
        with torch.inference_mode(), self._autocast():
            for batch, labels in images.eval(part, side):
                logits = network(batch).float()
                sums[0] += F.cross_entropy(logits, labels, reduction="sum")
                sums[1] += (logits.argmax(1) != labels).sum()
        loss, wrong = sum_over_all(sums, self.place).tolist()
        return loss / images.count(part), wrong / images.count(part)

    def _epoch(self, images: Images, stop: Callable[[], bool]) -> None:
        progress, epoch, steps = self.progress, len(self.progress.curve), per_epoch(images)
        losses = torch.tensor(progress.loss_sum, device=self.place.device)
        stream = images.train(epoch, progress.step)
        self._copy.train()
        saved = begun = time.monotonic()
        while (batch := next(stream, None)) is not None:
            progress.waiting += time.monotonic() - begun
            rate = self._recipe.rate(epoch * steps + progress.step, steps)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            losses += self._update(*batch, epoch, progress.step)
            progress.step += 1
            if self._average is not None:  # the first updates do not weigh for long
                done = epoch * steps + progress.step
                _average_in(self._average, self.network, 1 - min(self._recipe.ema, done / (done + 9)))
            ended = stop()
            old = time.monotonic() - saved > 60 * self._minutes
            if old or ended or progress.step % LOOK == 0 or progress.step == steps:
                progress.loss_sum = self._finite(losses, epoch)
            progress.seconds += time.monotonic() - begun
            if old or ended:
                self._save()
                saved = time.monotonic()
            if ended:
                raise KeyboardInterrupt
            begun = time.monotonic()

    def _finite(self, losses: Tensor, epoch: int) -> float:
        """Return the sum of losses; raise ``StudyError`` where it is none."""
        found = float(losses)
        if not math.isfinite(found):
            raise StudyError(
                f"the training loss became {found} in epoch {epoch + 1}; give a recipe with a lower lr or more "
                "warmup, and another --out"
            )
        return found

    def _update(self, batch: Tensor, labels: Tensor, epoch: int, step: int) -> Tensor:
        """Make one update on this process's part of a batch and return the mean loss of the whole."""
        batch, wanted = self._mixed(batch, labels, epoch, step)
        total = torch.zeros((), device=self.place.device)
        self._optimizer.zero_grad(set_to_none=True)
        parts = list(zip(batch.chunk(self._accumulate), wanted.chunk(self._accumulate), strict=True))
        for number, (images, target) in enumerate(parts, 1):
            with self._together(last=number == len(parts)):
                with self._autocast():
                    loss = F.cross_entropy(
                        self._copy(images), target, label_smoothing=self._recipe.label_smoothing
                    )
                share = loss * (len(images) / len(batch))
                share.backward()  # type: ignore[no-untyped-call]
            total += share.detach()
        self._optimizer.step()
        return sum_over_all(total, self.place) / self.place.world

    def _together(self, *, last: bool) -> AbstractContextManager[None]:
        """Return the context in which gradients are averaged over processes: in the last part of a batch alone."""
        alone: Callable[[], AbstractContextManager[None]] | None = getattr(self._copy, "no_sync", None)
        return nullcontext() if last or alone is None else alone()

    def _autocast(self) -> Any:
        """bf16 is faster on GPUs; on CPUs without matrix units it costs time."""
        device = self.place.device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")

    def _mixed(self, batch: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Return the batch with images mixed by pairs, and what is wanted of them, where the recipe mixes."""
        kinds: list[Any] = []
        if self._recipe.mixup:
            kinds.append(v2.MixUp(alpha=self._recipe.mixup, num_classes=self._classes))
        if self._recipe.cutmix:
            kinds.append(v2.CutMix(alpha=self._recipe.cutmix, num_classes=self._classes))
        if not kinds:
            return batch, labels
        numbers = [self._seed, epoch, step, self.place.rank, 1]
        own = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            pixels, wanted = v2.RandomChoice(kinds)(batch, labels)
        return pixels, wanted

    def _save(self) -> None:
        if not self.place.first or self._checkpoint is None:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "progress": asdict(self.progress),
            "times": [self.seconds, self.waiting],
        }
        held = io.BytesIO()
        torch.save(state, held)
        write_atomic(self._checkpoint, held.getvalue())

    def _restored(self) -> Progress:
        if self._checkpoint is None or not self._checkpoint.exists():
            return Progress()
        try:
            state = torch.load(self._checkpoint, map_location=self.place.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            self.seconds, self.waiting = state["times"]
            stored = state["progress"]
            return Progress(**stored | {"curve": [FitEpoch(**each) for each in stored["curve"]]})
        except torch.OutOfMemoryError:
            raise
        except (
            Exception
        ) as error:  # whatever damaged bytes lead to; torch's words advise to run what they hold
            raise UserError(
                f"{self._checkpoint}: is damaged ({type(error).__name__}); delete it to begin this training anew"
            ) from None


def _average_in(kept: nn.Module, network: nn.Module, weight: float) -> None:
    """Move weights and BatchNorm statistics of ``kept`` by ``weight`` towards those of ``network``."""
    for own, new in zip(kept.state_dict().values(), network.state_dict().values(), strict=True):
        if torch.is_floating_point(own):
            own.lerp_(new, weight)
        else:  # numbers of batches
            own.copy_(new)
