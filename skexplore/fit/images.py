"""Images for a training of a whole network: cropped and changed anew in each epoch, the same ones on every run.

What becomes of an image depends on (seed, epoch, its number) alone, not on who reads it: any number of workers or
processes see the same training, and one that was killed goes on with the images it would have seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from skexplore.data import BROKEN, Content, Item, load_part, plain_image
from skexplore.errors import UserError
from skexplore.fit.synced import Place
from skexplore.study import FitRecipe
from skexplore.training import Data, eval_batches, load_test, normalise, train_batches

EVAL_BATCH = 250
EVAL_SHARE = 0.875  # of the shorter side that a centre crop takes where training takes crops of random size
Batches = Iterator[tuple[Tensor, Tensor]]  # normalised images (b x c x h x w) and labels (b,), on the device


class Images(Protocol):
    """What a training sees of a data set; ``train_count`` images in batches of ``batch_size``, of all processes."""

    train_count: int
    batch_size: int

    def train(self, epoch: int, start: int) -> Batches:
        """Yield this process's part of the batches of ``epoch``, from batch ``start`` on; a partial one is left out."""

    def eval(self, part: str, side: int) -> Batches:
        """Yield this process's part of the images of ``part`` (``val`` or ``test``), whole, at ``side`` pixels."""

    def count(self, part: str) -> int:
        """Return how many images ``part`` has, for all processes."""


def eval_share(recipe: FitRecipe) -> float:
    """Return the share of the shorter side that a network is measured on."""
    return EVAL_SHARE if recipe.crop == "random-size" else 1.0


def per_epoch(images: Images) -> int:
    """Return the updates of an epoch."""
    return max(1, images.train_count // images.batch_size)


class ArrayImages:
    """Images that are kept decoded, all of them on the device: CIFAR, and a user's own at the size of the network."""

    def __init__(self, data: Data, folder: Path, recipe: FitRecipe, *, seed: int, place: Place) -> None:
        self._data, self._folder, self._recipe, self._seed, self._place = data, folder, recipe, seed, place
        self.train_count = len(data.images)
        self.batch_size = _even(recipe, self.train_count, place)

    def train(self, epoch: int, start: int) -> Batches:
        """Yield this process's part of the batches of ``epoch``, from batch ``start`` on."""
        recipe, data = self._recipe, self._data
        content = data.content if recipe.flip else replace(data.content, mirrored=False)
        whole = train_batches(
            data.images,
            data.labels,
            batch_size=self.batch_size,
            seed=self._seed,
            epoch=epoch,
            augment=recipe.flip or recipe.crop == "pad",
            crop=recipe.crop == "pad",
            content=content,
        )
        for images, labels in islice(whole, start, per_epoch(self)):
            own = slice(self._place.rank, None, self._place.world)
            yield images[own], labels[own]

    def eval(self, part: str, side: int) -> Batches:
        """Yield this process's part of the images of ``part``, at the one size they are kept at."""
        assert side == self._data.images.shape[-1]
        images, labels = self._data.val_images, self._data.val_labels
        if part == "test":
            images, labels = load_test(self._folder, self._place.device)
        own = slice(self._place.rank, None, self._place.world)
        yield from eval_batches(images[own], labels[own], batch_size=EVAL_BATCH, content=self._data.content)

    def count(self, part: str) -> int:
        """Return how many images ``part`` has."""
        if part == "test":
            return len(np.load(self._folder / "test_labels.npy", mmap_mode="r"))
        return len(self._data.val_labels)


class FileImages:
    """Images that are read anew every time, by worker processes while the network computes."""

    def __init__(
        self,
        parts: dict[str, Sequence[Item]],
        content: Content,
        recipe: FitRecipe,
        *,
        resolution: int,
        seed: int,
        place: Place,
        workers: int,
    ) -> None:
        self._parts, self._content, self._recipe, self._place = parts, content, recipe, place
        self._seed, self._workers = seed, workers
        self.train_count = len(parts["train"])
        self.batch_size = _even(recipe, self.train_count, place)
        self._keys = _Keys(self.train_count, self.batch_size, seed=seed, place=place)
        self.pictures = Pictures(parts["train"], content, recipe=recipe, side=resolution, seed=seed)
        self._loader: DataLoader[tuple[Tensor, Tensor]] | None = None

    def train(self, epoch: int, start: int) -> Batches:
        """Yield this process's part of the batches of ``epoch``, from batch ``start`` on."""
        self._keys.epoch, self._keys.start = epoch, start
        if self._loader is None:  # its workers live as long as the training
            self._loader = self._loaded(self.pictures, self._keys)
        yield from self._on_device(self._loader)

    def eval(self, part: str, side: int) -> Batches:
        """Yield this process's part of the images of ``part``, each scaled and its centre cropped to ``side``."""
        pictures = Pictures(self._parts[part], self._content, side=side, share=eval_share(self._recipe))
        own = range(self._place.rank, len(pictures), self._place.world)
        keys = [
            [(0, number) for number in own[at : at + EVAL_BATCH]] for at in range(0, len(own), EVAL_BATCH)
        ]
        yield from self._on_device(self._loaded(pictures, keys))

    def count(self, part: str) -> int:
        """Return how many images ``part`` has."""
        return len(self._parts[part])

    def _loaded(self, pictures: Pictures, keys: Any) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            pictures,  # type: ignore[arg-type]  # labels are numbers until they are batched
            batch_sampler=keys,
            num_workers=self._workers,
            pin_memory=self._place.device.type == "cuda",
            persistent_workers=keys is self._keys and self._workers > 0,
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # the caller's stays as it is
        )

    def _on_device(self, loader: DataLoader[tuple[Tensor, Tensor]]) -> Batches:
        device = self._place.device
        try:
            for images, labels in loader:
                yield (
                    normalise(images.to(device, non_blocking=True), self._content),
                    labels.to(device, non_blocking=True),
                )
        except UserError as error:  # of a worker it comes with the traceback of that process
            raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _even(recipe: FitRecipe, images: int, place: Place) -> int:
    """Return the size of a batch, of few images less than the recipe's, that all processes share in equal parts."""
    world = place.world
    if recipe.batch_size % world:
        raise UserError(
            f"batches of {recipe.batch_size} images cannot be shared by {world} processes; give a recipe with a "
            f"batch_size that {world} divides, such as {max(1, recipe.batch_size // world) * world}"
        )
    return min(recipe.batch_size, max(images - images % world, world))


class _Keys:
    """The keys (epoch, number) of each batch of ``epoch`` for one process, from batch ``start`` on."""

    def __init__(self, count: int, batch: int, *, seed: int, place: Place) -> None:
        self._count, self._batch, self._seed, self._place = count, batch, seed, place
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return max(1, self._count // self._batch) - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        own = int(np.random.SeedSequence([self._seed, self.epoch]).generate_state(1, np.uint64)[0])
        order = torch.randperm(self._count, generator=torch.Generator().manual_seed(own)).tolist()
        for number in range(self.start, self.start + len(self)):
            batch = order[number * self._batch : (number + 1) * self._batch]
            yield [(self.epoch, each) for each in batch[self._place.rank :: self._place.world]]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as uint8 (c, side, side) with their labels, asked for by (epoch, number).

    With a ``recipe`` each is changed as it says, depending on (seed, epoch, number); without, it is scaled so that its
    centre crop of ``side`` pixels takes ``share`` of the shorter side. Raises ``UserError`` for what cannot be read.
    """

    def __init__(
        self,
        items: Sequence[Item],
        content: Content,
        *,
        side: int,
        recipe: FitRecipe | None = None,
        share: float = 1.0,
        seed: int = 0,
    ) -> None:
        self._items, self._seed, self._side = items, seed, side
        self._mode = "RGB" if content.channels == 3 else "L"
        least = recipe.least_area if recipe and recipe.crop == "random-size" else 1.0
        self._most = round(side / min(share, least**0.5))  # of the shorter side
        self._change = v2.Compose([*_changes(recipe, content, side)]) if recipe else _centre(side, share)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, number = key
        item = self._items[number]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of metadata that nothing here reads
                _, image = item.read()
                image.draft("RGB", (self._most, self._most))  # no more of a large JPEG than is needed
                image = plain_image(image).convert(self._mode)
        except BROKEN as error:
            raise UserError(f"{item.name}: cannot be read ({error})") from None
        own = int(np.random.SeedSequence([self._seed, epoch, number]).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(own)
            changed: Tensor = v2.functional.pil_to_tensor(self._change(image))
        return changed, item.label


def _changes(recipe: FitRecipe, content: Content, side: int) -> Iterator[Any]:
    """Yield what is done to an image before it is trained on, as torchvision's transforms."""
    if recipe.crop == "random-size":
        yield v2.RandomResizedCrop(side, scale=(recipe.least_area, 1.0), antialias=True)
    else:
        yield _centre(side, 1.0)
    if recipe.crop == "pad":
        yield v2.RandomCrop(side, padding=side // 8, padding_mode="reflect")
    if recipe.flip and content.mirrored:
        yield v2.RandomHorizontalFlip()
    if recipe.randaugment:
        yield v2.RandAugment(magnitude=recipe.randaugment)


def _centre(side: int, share: float) -> v2.Compose:
    """Return what scales an image and cuts its centre to ``side`` pixels, ``share`` of its shorter side."""
    return v2.Compose([v2.Resize(round(side / share)), v2.CenterCrop(side)])


def array_items(folder: Path, part: str) -> list[Item]:
    """Return the images of a data set that is kept as arrays, to be read one by one."""
    images, labels = load_part(folder, part)
    return [
        Item(
            name=f"{folder}: {part} image {number}",
            label=int(label),
            size=images[number].nbytes,
            read=partial(_from_array, images, number),
        )
        for number, label in enumerate(labels)
    ]


def _from_array(images: NDArray[np.uint8], number: int) -> tuple[bytes, Image.Image]:
    return b"", Image.fromarray(images[number].transpose(1, 2, 0).squeeze())
