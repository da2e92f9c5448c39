"""Searches of a user's own images: from a folder to a verified export, and CIFAR-10 as such a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from skexplore.data import cache_folder, load_part
from skexplore.engine import search
from skexplore.errors import UserError
from skexplore.study import load_fit, load_study

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # by label


def photographs(folder, count, generator):
    """Write ``count`` small JPEGs in three classes, each a colour with noise on it."""
    for number in range(count):
        label = number % 3
        place = folder / ("red", "green", "blue")[label]
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 120, (40, 52, 3), np.uint8)
        pixels[..., label] += 90
        Image.fromarray(pixels).save(place / f"{number:03}.jpg", quality=90)
    return folder


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return photographs(tmp_path / "flowers", 300, np.random.default_rng(0))


@pytest.mark.slow
def test_a_folder_of_jpegs_goes_from_search_to_a_network_that_is_handed_over(flowers, command):
    name = "flowers-sk-paper-4.5g-smoke-s0"
    asked = (
        "search",
        "--budget-gflops",
        "4.5",
        "--dataset",
        "./flowers",
        "--profile",
        "smoke",
        "--trials",
        "2",
        "--anchors",
        "none",
    )
    for words in (
        asked,
        ("report", name, "--no-picture"),
        ("confirm", name, "--top", "1", "--seeds", "1"),
        ("export", name, "--trial", "best", "--onnx", "--out", "out"),
        ("verify", "out"),
        (
            "fit",
            "out",
            "--data",
            "./flowers",
            "--backbone",
            "4x4d-1111-s2",
            "--epochs",
            "2",
            "--device",
            "cpu",
        ),
    ):
        code, out, err = command(*words)
        assert code == 0, (words, out, err)
    (place,) = (flowers.parent / "studies").glob("fit-flowers-*")
    assert (place / "model.onnx").is_file()
    assert load_fit(place).spec.content.digest == load_study(name).spec.split.own.digest
    assert load_fit(place).metrics.train_images == 243  # the split of the search
    study = load_study(name)
    assert study.spec.split.id.startswith("flowers-")
    assert study.spec.body.classes == 3
    assert all(record.images == 8 * 243 for record in study.records)  # 243 of them, seen 8 times
    assert study.best.val_error < 0.5  # chance is 2 / 3
    confirmed = load_study(f"{name}-confirm")
    assert all(record.test_error is not None for record in confirmed.records)
    split = json.loads((flowers.parent / "out" / "block.json").read_text())["split"]
    assert (split["dataset"], split["own"]["digest"]) == ("flowers", study.spec.split.own.digest)
    first = flowers / "red" / "000.jpg"
    first.write_bytes((flowers / "red" / "003.jpg").read_bytes())
    with pytest.raises(UserError, match=r"exists with another split .images of digest \w{12}, here \w{12}.;"):
        search(budget_gflops=4.5, dataset="./flowers", profile="smoke", trials=2, progress=False)


@pytest.mark.slow
def test_cifar_as_class_folders_gives_the_same_errors_to_the_bit(tmp_path, monkeypatch):
    real = cache_folder("cifar10")
    if not real.exists():
        pytest.skip("CIFAR-10 is not cached")
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        images, labels = load_part(real, part)
        if part == "test":  # which nothing here reads
            images, labels = images[:200], labels[:200]
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            place = tmp_path / "cifar" / part / NAMES[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.transpose(1, 2, 0)).save(place / f"{number:05}.bmp")
    options = {"budget_gflops": 4.5, "profile": "smoke", "anchors": "none", "trials": 1, "progress": False}
    known = search(study="known", **options)
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    own = search(study="own", dataset="./cifar", **options)
    content = own.spec.split.content
    assert (content.mean, content.std) == (known.spec.split.content.mean, known.spec.split.content.std)
    assert [record.curve[-1].val_loss for record in own.records] == [
        record.curve[-1].val_loss for record in known.records
    ]
    assert [record.val_error for record in own.records] == [record.val_error for record in known.records]
