"""Small synthetic sets in the place of CIFAR-10 and CIFAR-100, packed as each of their releases."""

import hashlib
import io
import json
import pickle
import tarfile
from dataclasses import replace

import numpy as np
from PIL import Image

from skexplore.data import cache as cifar
from skexplore.data.datasets import DATASETS

SIZE = 20  # synthetic images per batch
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
COUNTS = {"train": 200, "test": 100}  # of CIFAR-100


def _alone(monkeypatch, tmp_path):
    """A cache of the test's own, and no way to download."""
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SKEXPLORE_DATA", raising=False)
    monkeypatch.setattr(cifar, "TORCHVISION", "raise SystemExit('no route to host')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no npm


def _with_sums(release, sums):
    """The release with the packings' sums of files replaced where it has any: {suffix: {name: sum}}."""
    packings = [
        replace(packing, sums=sums[packing.suffix]) if packing.sums else packing
        for packing in release.packings
    ]
    return replace(release, packings=tuple(packings))


def fake_cifar(monkeypatch, tmp_path):
    """Random batches in the place of CIFAR-10; the sums are of the record format, built here by hand."""
    random = np.random.default_rng(0)
    batches = {
        name: (
            random.integers(0, 256, (SIZE, 3, 32, 32), dtype=np.uint8),
            random.integers(0, 10, SIZE, dtype=np.uint8),
        )
        for name in NAMES
    }
    pickles = {name: _md5(_pickled(*batch)) for name, batch in batches.items()}
    release = replace(
        DATASETS["cifar10"],
        counts=dict.fromkeys(NAMES, SIZE),
        sums={name: _md5(records(*batch)) for name, batch in batches.items()},
    )
    monkeypatch.setitem(DATASETS, "cifar10", _with_sums(release, {"": pickles}))
    _alone(monkeypatch, tmp_path)
    return batches


def fake_cifar100(monkeypatch, tmp_path):
    """Random images in the place of CIFAR-100: {file: (images, fine labels, coarse labels)}."""
    random = np.random.default_rng(1)
    batches = {}
    for name, count in COUNTS.items():
        images = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        fine = random.permutation(np.arange(count) % 100).astype(np.uint8)
        batches[name] = (images, fine, fine // 5)
    sums = {
        suffix: {name: _md5(release100(batches, kind)[f"{name}{suffix}"]) for name in COUNTS}
        for suffix, kind in (("", "py"), (".bin", "bin"))
    }
    release = replace(DATASETS["cifar100"], counts=COUNTS)
    monkeypatch.setitem(DATASETS, "cifar100", _with_sums(release, sums))
    _alone(monkeypatch, tmp_path)
    return batches


def release100(batches, kind):
    """The files of CIFAR-100's Python or binary release, with what else lies in their folder."""
    files = {}
    for name, (images, fine, coarse) in batches.items():
        if kind == "bin":
            rows = zip(images, fine, coarse, strict=True)
            files[f"{name}.bin"] = b"".join(bytes([c, f]) + image.tobytes() for image, f, c in rows)
        else:
            entry = {
                b"filenames": [f"{number}.png".encode() for number in range(len(images))],
                b"batch_label": b"1 of 1",
                b"fine_labels": [int(label) for label in fine],
                b"coarse_labels": [int(label) for label in coarse],
                b"data": images.reshape(len(images), 3072),
            }
            files[name] = pickle.dumps(entry, protocol=2)
    return files | ({"fine_label_names.txt": b"apple\n"} if kind == "bin" else {"meta": b"never opened"})


def assert_cached100(folder, batches):
    for part in ("train", "test"):
        images, labels = cifar.load_part(folder, part)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, batches[part][0])
        np.testing.assert_array_equal(labels, batches[part][1])  # fine, not coarse
    assert_clean(folder.parent, ["cifar100"])


def _md5(content):
    return hashlib.md5(content).hexdigest()


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
        images, labels = cifar.load_part(folder, part)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, np.concatenate([batches[name][0] for name in names]))
        np.testing.assert_array_equal(labels, np.concatenate([batches[name][1] for name in names]))
    assert_clean(folder.parent, ["cifar10"])


def assert_clean(cache, expected=()):
    assert sorted(path.name for path in cache.glob("*")) == list(expected)
