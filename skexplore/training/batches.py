"""The train/validation split of the train part, and batches of it: augmented and normalised on the device.

Images are uint8 (n, 3, h, w) with pixels 0..255 until a batch is made: float32, mean 0 and deviation 1 per channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from skexplore.data import VAL_SHARE, load_part
from skexplore.errors import UserError

MEAN = (0.4914, 0.4822, 0.4465)  # of the 50,000 CIFAR-10 train images, per channel, pixels in 0..1
STD = (0.2470, 0.2435, 0.2616)
# CIFAR-100 (0.5071 0.4865 0.4409, 0.2673 0.2564 0.2762) takes the same ones: training does not know the data set,
# and a shift of less than 0.1 deviations goes into the first BatchNorm.
SPLIT_SEED = 20_19  # fixed: every run and every seed compares on the same validation images


def split_indices(
    labels: NDArray[np.generic], *, train_images: int, val_images: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the train and the validation images, stratified by ``labels`` (N,).

    A tenth of the N images is for validation alone; more of them are taken from the far end of those to train on, as
    far as these are not trained on. Smaller counts are prefixes of larger ones, and class counts differ by at most 1.
    Independent of the run's seed. Raises ``UserError`` for a count out of range.
    """
    pool = len(labels) // VAL_SHARE
    for name, count, most in (
        ("train_images", train_images, len(labels) - pool),
        ("val_images", val_images, len(labels) - train_images),
    ):
        if not 1 <= count <= most:
            left = f" with {train_images} train_images" if name == "val_images" else ""
            raise UserError(f"{name} {count}: must be between 1 and {most}{left}")
    order = _stratified(labels)
    rest = order[pool:]
    train = rest[_stratified(labels[rest])]
    return train[:train_images], np.concatenate((order[:pool], train[::-1]))[:val_images]


def _stratified(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return a shuffled order of ``labels`` that takes one of each class in every round."""
    # Raw PCG64 output: NumPy promises that this stream never changes, but not that of permutation().
    keys = np.random.PCG64(SPLIT_SEED).random_raw(len(labels))
    rounds = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rounds[members[np.argsort(keys[members])]] = np.arange(len(members))
    return np.lexsort((keys, rounds)).astype(np.int64)


def load_split(
    folder: Path, *, train_images: int, val_images: int, device: torch.device | str
) -> tuple[UInt8[Tensor, "t 3 h w"], Int64[Tensor, " t"], UInt8[Tensor, "v 3 h w"], Int64[Tensor, " v"]]:
    """Return train images, train labels, validation images and validation labels on ``device``.

    Opens only the train part of ``folder`` (see ``load_part``). Raises ``UserError`` as ``split_indices``.
    """
    images, labels = load_part(folder, "train")
    train, val = split_indices(np.asarray(labels), train_images=train_images, val_images=val_images)

    def take(chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(np.asarray(images[chosen]))
        return pixels.to(device), torch.from_numpy(labels[chosen].astype(np.int64)).to(device)

    return *take(train), *take(val)


def load_test(
    folder: Path, device: torch.device | str
) -> tuple[UInt8[Tensor, "n 3 h w"], Int64[Tensor, " n"]]:
    """Return all test images and labels on ``device``: for finalists that are chosen already, and nothing else."""
    images, labels = load_part(folder, "test")
    pixels = torch.from_numpy(np.array(images))
    return pixels.to(device), torch.from_numpy(labels.astype(np.int64)).to(device)


def batches(
    images: UInt8[Tensor, "n 3 h w"],
    labels: Int64[Tensor, " n"],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augment: bool,
    crop: bool = True,
    pad: int = 4,
) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Int64[Tensor, " b"]]]:
    """Yield the shuffled images once as normalised float32 batches (channels_last) with their labels.

    Order and augmentation depend on ``(seed, epoch)`` alone, whatever the device and the batch size.
    ``augment`` crops each image at random after reflect padding by ``pad`` pixels (unless ``crop`` is false) and flips
    half of them.
    A last batch of a single image is left out: batch normalisation needs two.
    """
    key = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    random = torch.Generator().manual_seed(key)  # on the CPU, so that every device sees the same order
    count = len(images)
    order = torch.randperm(count, generator=random).to(images.device)
    corners = torch.randint(2 * pad + 1, (count, 2), generator=random).to(images.device)
    flips = torch.randint(2, (count,), generator=random).bool().to(images.device)
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        chosen = order[part]
        if len(chosen) == 1 < batch_size:
            return
        taken = images[chosen]
        if augment and crop:
            taken = _augment(taken, corners[part], flips[part], pad)
        elif augment:
            taken = torch.where(flips[part][:, None, None, None], taken.flip(3), taken)
        yield normalise(taken), labels[chosen]


def eval_batches(
    images: UInt8[Tensor, "n 3 h w"], labels: Int64[Tensor, " n"], *, batch_size: int
) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Int64[Tensor, " b"]]]:
    """Yield all images in order as normalised float32 batches (channels_last) with their labels."""
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield normalise(images[part]), labels[part]


def normalise(images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Return uint8 images as float32, channels_last, with CIFAR-10's mean 0 and deviation 1 per channel."""
    mean = torch.tensor(MEAN, device=images.device).mul(255).view(1, 3, 1, 1)
    scale = torch.tensor(STD, device=images.device).mul(255).reciprocal().view(1, 3, 1, 1)
    # Twice as fast as converting to channels_last first: there the broadcast is not vectorised.
    return images.float().sub_(mean).mul_(scale).contiguous(memory_format=torch.channels_last)


def _augment(
    images: UInt8[Tensor, "b 3 h w"], corners: Int64[Tensor, "b 2"], flips: Bool[Tensor, " b"], pad: int
) -> UInt8[Tensor, "b 3 h w"]:
    """Crop each image at its corner (0..2 pad) of the reflect-padded image, and mirror it where flagged."""
    height, width = images.shape[2:]
    across = torch.arange(width, device=images.device)
    down = torch.arange(height, device=images.device)
    columns = torch.where(flips[:, None], width - 1 - across, across)
    columns = _reflect(columns + corners[:, 1:] - pad, width)
    rows = _reflect(down + corners[:, :1] - pad, height)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(len(images), 1, -1)
    # One gather over flat pixels: the fastest of five ways measured on a CPU, and the padding is never made.
    return images.flatten(2).gather(2, pixels.expand(-1, 3, -1)).view_as(images)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Map positions outside 0..size-1 back inside, as reflect padding does (the edge is not repeated)."""
    return size - 1 - (size - 1 - index.abs()).abs()
