"""Streams of images: the same whoever reads them, and the transforms of torchvision."""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from skexplore.data import Content, Item
from skexplore.errors import UserError
from skexplore.fit.images import FileImages, Pictures, per_epoch
from skexplore.fit.synced import Place
from skexplore.study import FitRecipe

CONTENT = Content(
    name="noise", title="noise", classes=5, train=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
)


def read(number, mode="RGB"):
    pixels = np.random.default_rng(number).integers(0, 256, (40 + number % 5, 56, 3), np.uint8)
    return b"", Image.fromarray(pixels).convert(mode)


ITEMS = [Item(name=f"image {n}", label=n % 5, size=1, read=partial(read, n)) for n in range(64)]
HARD = FitRecipe(batch_size=12, crop="random-size", randaugment=9)


def stream(recipe=HARD, *, rank=0, world=1, workers=0, seed=3):
    place = Place(rank=rank, world=world, device=torch.device("cpu"))
    parts = {"train": ITEMS, "val": ITEMS[:10], "test": ITEMS[10:13]}
    return FileImages(parts, CONTENT, recipe, resolution=24, seed=seed, place=place, workers=workers)


def all_of(batches):
    return [(images, labels) for images, labels in batches]


def same(these, those):
    return len(these) == len(those) and all(
        torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(these, those, strict=True)
    )


def test_an_epoch_has_every_image_once_but_a_partial_batch():
    images = stream()
    found = all_of(images.train(0, 0))
    assert len(found) == per_epoch(images) == 5
    assert {tuple(batch.shape) for batch, _ in found} == {(12, 3, 24, 24)}
    assert sum(map(len, (labels for _, labels in found))) == 60


@pytest.mark.slow
def test_workers_read_the_same_images():
    assert same(all_of(stream(workers=2).train(1, 0)), all_of(stream().train(1, 0)))


def test_epochs_and_seeds_differ_and_repeat():
    images = stream()
    first, again, other = (all_of(images.train(epoch, 0)) for epoch in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, all_of(stream(seed=4).train(0, 0)))


def test_an_epoch_goes_on_where_it_was_left():
    assert same(all_of(stream().train(2, 3)), all_of(islice(stream().train(2, 0), 3, None)))


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_each_batch(world):
    whole = all_of(stream().train(0, 0))
    parts = [all_of(stream(rank=rank, world=world).train(0, 0)) for rank in range(world)]
    for number, (batch, labels) in enumerate(whole):
        for rank in range(world):
            assert torch.equal(parts[rank][number][0], batch[rank::world])
            assert torch.equal(parts[rank][number][1], labels[rank::world])


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(
        UserError, match=r"batches of 13 images cannot be shared by 4 processes; .* such as 12"
    ):
        stream(FitRecipe(batch_size=13), world=4)
    few = stream(FitRecipe(batch_size=255), world=3)  # of 64 images
    assert (few.batch_size, per_epoch(few)) == (63, 1)


def test_a_part_is_measured_whole_over_processes():
    own = [all_of(stream(rank=rank, world=3).eval("val", 24)) for rank in range(3)]
    labels = [labels.tolist() for found in own for _, labels in found]
    assert sorted(label for each in labels for label in each) == sorted(item.label for item in ITEMS[:10])
    assert stream().count("val") == 10


@pytest.mark.parametrize("share", [1.0, 0.875])
def test_centre_crops_are_torchvisions(share):
    pictures = Pictures(ITEMS, CONTENT, side=24, share=share)
    expected = v2.Compose([v2.Resize(round(24 / share)), v2.CenterCrop(24), v2.PILToTensor()])
    for number in range(5):
        found, label = pictures[0, number]
        assert label == number % 5
        assert (found.int() - expected(read(number)[1]).int()).abs().max() <= 1  # rounding of a side


def test_crops_of_random_size_are_torchvisions():
    pictures = Pictures(ITEMS, CONTENT, side=24, recipe=FitRecipe(flip=False), seed=5)
    own = int(np.random.SeedSequence([5, 7, 2]).generate_state(1, np.uint64)[0])
    torch.manual_seed(own)
    expected = v2.RandomResizedCrop(24, scale=(0.08, 1.0), antialias=True)(read(2)[1])
    assert torch.equal(pictures[7, 2][0], v2.functional.pil_to_tensor(expected))


def test_reading_leaves_the_callers_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    all_of(stream().train(0, 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_mirror_images_only_where_they_are_of_the_class():
    from dataclasses import replace

    recipe = FitRecipe(crop="none", randaugment=0)
    plain, turned = (
        Pictures(ITEMS, replace(CONTENT, mirrored=mirrored), side=24, recipe=recipe)
        for mirrored in (False, True)
    )
    whole = Pictures(ITEMS, CONTENT, side=24)
    assert all(torch.equal(plain[0, n][0], whole[0, n][0]) for n in range(20))
    flipped = [torch.equal(turned[0, n][0], whole[0, n][0].flip(2)) for n in range(20)]
    assert 0 < sum(flipped) < 20


def test_grey_images_have_one_channel():
    grey = Content(name="g", title="g", classes=5, train=64, channels=1, mean=(0.5,), std=(0.25,))
    assert Pictures(ITEMS, grey, side=24)[0, 0][0].shape == (1, 24, 24)


def test_a_broken_image_is_named():
    def broken():
        raise OSError("truncated")

    items = [Item(name="red/1.jpg", label=0, size=1, read=broken)]
    with pytest.raises(UserError, match=r"red/1.jpg: cannot be read \(truncated\)"):
        Pictures(items, CONTENT, side=24)[0, 0]
