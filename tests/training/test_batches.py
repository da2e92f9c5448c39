"""The split and the batches, on synthetic images unless said otherwise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from skexplore.data import CIFAR, Content
from skexplore.errors import UserError
from skexplore.training import batches as data

CIFAR_LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 5_000))  # synthetic, same counts
KNOWN_TRAIN = [124, 66, 180, 109, 181, 155]
KNOWN_VAL = [60, 149, 123, 108, 46, 35]


def _synthetic(count, seed=0):
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, 32, 32), generator=random, dtype=torch.uint8)
    return images, torch.arange(count)  # labels that number the images


def _all(images, labels, **options):
    defaults = {"batch_size": 16, "seed": 0, "epoch": 0, "augment": True}
    pairs = list(data.train_batches(images, labels, **(defaults | options)))
    return torch.cat([pair[0] for pair in pairs]), torch.cat([pair[1] for pair in pairs])


# The split


def test_full_split_is_stratified_and_whole():
    train, val = data.split_indices(CIFAR_LABELS, train_images=45_000, val_images=5_000)
    assert np.bincount(CIFAR_LABELS[train]).tolist() == [4_500] * 10
    assert np.bincount(CIFAR_LABELS[val]).tolist() == [500] * 10
    assert sorted([*train, *val]) == list(range(50_000))


@settings(max_examples=20)
@given(train_images=st.integers(1, 45_000), val_images=st.integers(1, 5_000))
def test_smaller_splits_are_balanced_prefixes(train_images, val_images):
    whole = data.split_indices(CIFAR_LABELS, train_images=45_000, val_images=5_000)
    parts = data.split_indices(CIFAR_LABELS, train_images=train_images, val_images=val_images)
    for part, all_, count in zip(parts, whole, (train_images, val_images), strict=True):
        np.testing.assert_array_equal(part, all_[:count])
        counts = np.bincount(CIFAR_LABELS[part], minlength=10)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("train_images", "val_images"), [(45_000, 5_000), (10_000, 5_000), (1_234, 77), (2_000, 999)]
)
def test_a_hundred_classes_are_split_evenly(train_images, val_images):
    labels = np.random.default_rng(2).permutation(np.repeat(np.arange(100), 500))  # the counts of CIFAR-100
    parts = data.split_indices(labels, train_images=train_images, val_images=val_images)
    for part, count in zip(parts, (train_images, val_images), strict=True):
        counts = np.bincount(labels[part], minlength=100)
        assert counts.sum() == len(set(part)) == count
        assert counts.max() - counts.min() <= 1
    assert not set(parts[0]) & set(parts[1])


def test_split_of_another_size_stays_balanced():
    labels = np.arange(1_230) % 10  # the validation pool of 123 ends inside a round of the classes
    for count in range(1, 1_001):
        train, val = data.split_indices(labels, train_images=count, val_images=1 + count % 123)
        assert np.ptp(np.bincount(labels[train], minlength=10)) <= 1
        assert np.ptp(np.bincount(labels[val], minlength=10)) <= 1
        assert not set(train) & set(val)


def test_split_is_a_known_answer():
    """Results of different versions and machines compare only on the same split."""
    train, val = data.split_indices(np.arange(200) % 10, train_images=6, val_images=6)
    assert train.tolist() == KNOWN_TRAIN
    assert val.tolist() == KNOWN_VAL


def test_split_ignores_global_seeds():
    np.random.seed(1)
    first = data.split_indices(CIFAR_LABELS, train_images=100, val_images=100)
    np.random.seed(2)
    second = data.split_indices(CIFAR_LABELS, train_images=100, val_images=100)
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("train", "val", "name"), [(0, 1, "train_images 0"), (45_001, 1, "train_images 45001")]
)
def test_train_count_out_of_range(train, val, name):
    with pytest.raises(UserError, match=f"{name}: must be between 1 and 45000"):
        data.split_indices(CIFAR_LABELS, train_images=train, val_images=val)


@pytest.mark.parametrize(("train", "val"), [(1, -1), (1, 0), (1, 50_000), (45_000, 5_001), (30_000, 20_001)])
def test_val_count_out_of_range(train, val):
    said = f"val_images {val}: must be between 1 and {50_000 - train} with {train} train_images"
    with pytest.raises(UserError, match=said):
        data.split_indices(CIFAR_LABELS, train_images=train, val_images=val)


@settings(max_examples=20)
@given(train_images=st.integers(1, 45_000), share=st.floats(0, 1))
def test_more_is_held_out_where_less_is_trained_on(train_images, share):
    """The 5,000 of old come first, then what is not trained on, from its far end, still balanced."""
    val_images = max(1, round(share * (50_000 - train_images)))
    train, val = data.split_indices(CIFAR_LABELS, train_images=train_images, val_images=val_images)
    assert len(set(train) | set(val)) == train_images + val_images
    assert np.ptp(np.bincount(CIFAR_LABELS[val], minlength=10)) <= 1
    usual = data.split_indices(CIFAR_LABELS, train_images=45_000, val_images=5_000)
    np.testing.assert_array_equal(val[:5_000], usual[1][:val_images])
    np.testing.assert_array_equal(val[5_000:], usual[0][::-1][: max(0, val_images - 5_000)])


def test_load_split_reads_the_train_part_alone(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (200, 3, 32, 32), dtype=np.uint8)
    labels = (np.arange(200) % 10).astype(np.uint8)
    np.save(tmp_path / "train_images.npy", images)
    np.save(tmp_path / "train_labels.npy", labels)  # no test files: opening them would fail
    train, val = data.split_indices(labels, train_images=50, val_images=20)
    loaded = data.load_split(tmp_path, train_images=50, val_images=20, device="cpu")
    for tensor, expected in zip(
        loaded, (images[train], labels[train], images[val], labels[val]), strict=True
    ):
        np.testing.assert_array_equal(tensor.numpy(), expected)
    assert [tensor.dtype for tensor in loaded] == [torch.uint8, torch.int64] * 2


def test_load_split_of_an_empty_folder(tmp_path):
    with pytest.raises(UserError, match="train part cannot be read"):
        data.load_split(Path(tmp_path), train_images=1, val_images=1, device="cpu")


def test_load_split_on_synthetic_cache_never_asks_for_test(tmp_path, monkeypatch):
    parts = []
    arrays = (np.zeros((100, 3, 32, 32), np.uint8), (np.arange(100) % 10).astype(np.uint8))
    monkeypatch.setattr(data, "load_part", lambda folder, part: parts.append(part) or arrays)
    data.load_split(tmp_path, train_images=10, val_images=10, device="cpu")
    assert parts == ["train"]


# Batches


def test_same_seed_and_epoch_give_the_same_bytes():
    images, labels = _synthetic(100)
    first, again = _all(images, labels, seed=3, epoch=7), _all(images, labels, seed=3, epoch=7)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


@pytest.mark.parametrize("other", [{"epoch": 8}, {"seed": 4}, {"seed": 7, "epoch": 3}])
def test_another_seed_or_epoch_differs(other):
    images, labels = _synthetic(100)
    first, second = (
        _all(images, labels, seed=3, epoch=7),
        _all(images, labels, **({"seed": 3, "epoch": 7} | other)),
    )
    assert not torch.equal(first[1], second[1])


def test_batch_size_does_not_change_the_augmented_images():
    images, labels = _synthetic(96)
    small, large = _all(images, labels, batch_size=8), _all(images, labels, batch_size=96)
    assert torch.equal(small[1], large[1])
    assert torch.equal(small[0], large[0])


def test_global_random_state_neither_matters_nor_changes():
    images, labels = _synthetic(40)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = _all(images, labels)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(first[0], _all(images, labels)[0])


@settings(max_examples=30)
@given(count=st.integers(1, 70), batch_size=st.integers(1, 40), augment=st.booleans())
def test_every_image_comes_once_except_a_lone_last_one(count, batch_size, augment):
    images, labels = _synthetic(count)
    sizes, seen = [], []
    for pixels, part in data.train_batches(
        images, labels, batch_size=batch_size, seed=0, epoch=0, augment=augment
    ):
        assert len(pixels) == len(part)
        sizes.append(len(part))
        seen += part.tolist()
    lone = batch_size > 1 and count % batch_size == 1
    assert len(seen) == len(set(seen)) == count - lone
    assert all(size == batch_size for size in sizes[:-1])


def test_form_of_a_batch():
    pixels, labels = next(data.train_batches(*_synthetic(20), batch_size=8, seed=0, epoch=0, augment=True))
    assert pixels.shape == (8, 3, 32, 32)
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


def test_without_augmentation_the_images_are_only_shuffled():
    images, labels = _synthetic(50)
    pixels, order = _all(images, labels, augment=False, batch_size=25)
    assert order.tolist() != labels.tolist()
    assert torch.equal(pixels, data.normalise(images[order]))


def _crops(image, pad):
    """All crops of one image, plain and mirrored, by F.pad and slicing: another way to the same truth."""
    padded = F.pad(image.float()[None], (pad,) * 4, mode="reflect")[0]
    side = image.shape[-1]
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            crop = padded[:, top : top + side, left : left + side]
            yield (top, left, False), crop
            yield (top, left, True), crop.flip(2)


@pytest.mark.parametrize(("side", "pad"), [(8, 1), (32, 4)])
def test_augmented_images_are_crops_and_flips(side, pad, monkeypatch):
    monkeypatch.setattr(data, "normalise", lambda images, _: images.float())
    images, labels = _synthetic(60)
    images = images[..., :side, :side].contiguous()
    pixels, order = _all(images, labels, batch_size=20)
    for pixel, label in zip(pixels, order, strict=True):
        assert sum(torch.equal(pixel, crop) for _, crop in _crops(images[label], pad)) == 1


def test_without_crops_images_are_whole_and_half_of_them_mirrored(monkeypatch):
    monkeypatch.setattr(data, "normalise", lambda images, _: images.float())
    images, labels = _synthetic(200)
    pixels, order = _all(images, labels, batch_size=64, crop=False)
    mirrored = 0
    for pixel, label in zip(pixels, order, strict=True):
        whole = images[label].float()
        assert torch.equal(pixel, whole) or torch.equal(pixel, whole.flip(2))
        mirrored += torch.equal(pixel, whole.flip(2))
    assert 70 < mirrored < 130
    cropped, same_order = _all(images, labels, batch_size=64)
    assert torch.equal(order, same_order)  # the same seed, the same order
    assert not torch.equal(pixels, cropped)


def test_crops_and_flips_are_evenly_spread(monkeypatch):
    monkeypatch.setattr(data, "normalise", lambda images, _: images.float())
    rows = torch.arange(32).view(1, 1, 32, 1).expand(1, 1, 32, 32)  # position encoded in the pixels
    image = torch.cat([rows, rows.mT, torch.zeros_like(rows)], 1).to(torch.uint8)
    count = 4_000
    pixels, _ = _all(image.expand(count, -1, -1, -1).contiguous(), torch.arange(count), batch_size=500)
    flipped = pixels[:, 1, 16, 16] < pixels[:, 1, 16, 15]
    assert abs(flipped.float().mean().item() - 0.5) < 0.04  # five standard deviations
    tops = pixels[:, 0, 16, 0].long() - 16 + 4
    middle = torch.where(flipped, pixels[:, 1, 16, 15], pixels[:, 1, 16, 16]).long() - 16 + 4
    for offsets in (tops, middle):
        counts = torch.bincount(offsets, minlength=9)
        assert len(counts) == 9
        assert (counts.float() / count - 1 / 9).abs().max() < 0.025


def test_images_of_which_a_mirrored_one_is_another_are_not_mirrored(monkeypatch):
    monkeypatch.setattr(data, "normalise", lambda images, _: images.float())
    images, labels = _synthetic(50)
    pixels, order = _all(images, labels, crop=False, content=replace(CIFAR, mirrored=False))
    assert torch.equal(pixels, images[order].float())


def test_images_of_one_channel_are_normalised_by_their_own_mean():
    images, labels = _synthetic(40)
    grey = Content(
        name="own", title="own", classes=2, train=40, channels=1, mean=(0.3,), std=(0.2,), digest="a"
    )
    pixels, order = _all(images[:, :1].contiguous(), labels, augment=False, content=grey)
    expected = (images[order, :1].float() / 255 - 0.3) / 0.2
    assert torch.allclose(pixels, expected, atol=1e-5)


def test_eval_batches_are_in_order_and_whole():
    images, labels = _synthetic(33)
    pairs = list(data.eval_batches(images, labels, batch_size=16))
    assert [len(part) for _, part in pairs] == [16, 16, 1]
    assert torch.equal(torch.cat([part for _, part in pairs]), labels)
    assert torch.equal(torch.cat([pixels for pixels, _ in pairs]), data.normalise(images))
    assert pairs[0][0].is_contiguous(memory_format=torch.channels_last)


def test_normalise_is_the_usual_formula():
    images, _ = _synthetic(4)
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    deviation = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
    before = images.clone()
    torch.testing.assert_close(
        data.normalise(images).contiguous(), (images / 255 - mean) / deviation, rtol=1e-5, atol=1e-5
    )
    assert torch.equal(images, before)
