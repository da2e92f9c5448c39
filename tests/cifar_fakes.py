"""A small synthetic set in the place of CIFAR-10, packed as each of its releases."""

import hashlib
import io
import json
import pickle
import tarfile

import numpy as np
from PIL import Image

from skexplore import cifar, cifar_files

SIZE = 20  # synthetic images per batch
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def fake_cifar(monkeypatch, tmp_path):
    """Random batches in the place of CIFAR-10; the sums are of the record format, built here by hand."""
    random = np.random.default_rng(0)
    batches = {}
    monkeypatch.setattr(cifar_files, "BATCH", SIZE)
    for name in NAMES:
        images = random.integers(0, 256, (SIZE, 3, 32, 32), dtype=np.uint8)
        labels = random.integers(0, 10, SIZE, dtype=np.uint8)
        batches[name] = (images, labels)
        monkeypatch.setitem(cifar_files.SUMS, name, hashlib.md5(records(images, labels)).hexdigest())
        monkeypatch.setitem(cifar_files.PICKLE_SUMS, name, hashlib.md5(_pickled(images, labels)).hexdigest())
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SKEXPLORE_DATA", raising=False)
    monkeypatch.setattr(cifar, "TORCHVISION", "raise SystemExit('no route to host')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no npm
    return batches


def records(images, labels):
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


def _pickled(images, labels):
    entry = {b"data": images.reshape(len(images), 3072), b"labels": [int(label) for label in labels]}
    return pickle.dumps(entry, protocol=2)


def _png(images):
    rows = images.reshape(len(images), 3, 1024).transpose(0, 2, 1)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rows)).save(file, "PNG")
    return file.getvalue()


def release(batches, kind):
    if kind == "bin":
        return {f"{name}.bin": records(*batch) for name, batch in batches.items()}
    if kind == "py":
        return {name: _pickled(*batch) for name, batch in batches.items()}
    files = {f"{name}.png": _png(images) for name, (images, _) in batches.items()}
    train = np.concatenate([batches[name][1] for name in NAMES[:5]])
    files["train_lables.json"] = json.dumps(train.tolist()).encode()
    files["test_lables.json"] = json.dumps(batches["test_batch"][1].tolist()).encode()
    return files


def folder(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(path, files, inside):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def assert_cached(folder, batches):
    for part, names in (("train", NAMES[:5]), ("test", NAMES[5:])):
        images, labels = cifar.load(folder, part)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, np.concatenate([batches[name][0] for name in names]))
        np.testing.assert_array_equal(labels, np.concatenate([batches[name][1] for name in names]))
    assert_clean(folder.parent, ["cifar10"])


def assert_clean(cache, expected=()):
    assert sorted(path.name for path in cache.glob("*")) == list(expected)
