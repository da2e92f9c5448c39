"""Images for a training of a whole network: read, cropped and changed anew in each epoch, the same ones on every run.

What becomes of an image depends on (seed, epoch, its number) alone, not on who reads it: any number of workers or
processes see the same training, and one that was killed goes on with the images it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from skexplore.data import Item, find_source, load_part, parts_of, prepare_data, split_indices
from skexplore.data import DATASETS, Content, describe_own
from skexplore.errors import UserError
from skexplore.fit.recipes import FitRecipe

EVAL_SHARE = 0.875  # of the shorter side that a centre crop takes where training takes crops of random size


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The images of a data set, part by part, what is known of them, and the names of the classes."""

    content: Content
    classes: tuple[str, ...]
    train: Sequence[Item]
    val: Sequence[Item]
    test: Sequence[Item]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images of one part as uint8 (c, size, size) with their labels; asked for by (epoch, number).

    Raises ``UserError`` for one that cannot be read.
    """

    def __init__(
        self, items: Sequence[Item], size: int, channels: int, recipe: FitRecipe | None, seed: int = 0, flip: bool = True
    ) -> None:
        self._items, self._seed = items, seed
        self._mode = "RGB" if channels == 3 else "L"
        self._change = _changes(recipe, size, flip=flip) if recipe else None
        self._size = size

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, number = key
        item = self._items[number]
        try:
            _, image = item.read()
            image = ImageOps.exif_transpose(image).convert(self._mode)
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{item.name}: cannot be read ({error})") from None
        if self._change is None:
            return v2.functional.pil_to_tensor(image), item.label
        own = int(np.random.SeedSequence([self._seed, epoch, number]).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            changed: Tensor = self._change(image)
        return changed, item.label


def _changes(recipe: FitRecipe, size: int, *, flip: bool) -> v2.Compose:
    """Return what is done to an image before it is trained on, in torchvision's transforms."""
    steps: list[Any] = []
    if recipe.crop == "random-size":
        steps.append(v2.RandomResizedCrop(size, scale=(recipe.least_area, 1.0), antialias=True))
    else:
        steps.append(_Fit(size))
    if recipe.crop == "pad":
        steps.append(v2.RandomCrop(size, padding=size // 8, padding_mode="reflect"))
    if recipe.flip and flip:
        steps.append(v2.RandomHorizontalFlip())
    if recipe.randaugment:
        steps.append(v2.RandAugment(magnitude=recipe.randaugment))
    return v2.Compose([*steps, v2.PILToTensor()])


class _Fit:
    """Scales and cuts an image to a square; ``share`` of its shorter side is kept."""

    def __init__(self, size: int, share: float = 1.0) -> None:
        self._size, self._share = size, share

    def __call__(self, image: Image.Image) -> Image.Image:
        whole = round(self._size / self._share)
        fitted = ImageOps.fit(image, (whole, whole), Image.Resampling.BILINEAR)
        return v2.functional.center_crop(fitted, [self._size, self._size])


class _Batches:
    """The keys of each batch of an epoch for one process: equal parts of the batches of all, from ``start`` on."""

    def __init__(self, count: int, batch: int, *, epoch: int, seed: int, rank: int, world: int, start: int = 0) -> None:
        random = torch.Generator().manual_seed(
            int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
        )
        order = torch.randperm(count, generator=random).tolist()
        whole = [order[at : at + batch] for at in range(0, count - count % batch or count, batch)]
        self._epoch = epoch
        self._own = [each[rank::world] for each in whole[start:]]

    def __len__(self) -> int:
        return len(self._own)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for numbers in self._own:
            yield [(self._epoch, number) for number in numbers]


def train_loader(
    pictures: Pictures, batch: int, *, epoch: int, seed: int, rank: int, world: int, start: int, workers: int
) -> DataLoader[tuple[Tensor, int]]:
    """Return the batches of ``epoch`` that are this process's, from update ``start`` on: uint8 images and labels."""
    keys = _Batches(len(pictures), batch, epoch=epoch, seed=seed, rank=rank, world=world, start=start)
    return DataLoader(pictures, batch_sampler=keys, num_workers=workers)
