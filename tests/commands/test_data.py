"""``skexplore data`` as a user types it, on small synthetic sets of the releases' layouts."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.cifar_fakes import (
    NAMES,
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

from skexplore.cli.bar import Bar
from skexplore.data import cache as cifar


@pytest.fixture
def ten(monkeypatch, tmp_path):
    return fake_cifar(monkeypatch, tmp_path)


@pytest.fixture
def given(ten, tmp_path):
    return folder(tmp_path / "given", release(ten, "bin"))


@pytest.fixture
def hundred(monkeypatch, tmp_path):
    return fake_cifar100(monkeypatch, tmp_path)


def _flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


# fetch


def test_fetch_says_what_is_cached_and_where(command, ten, given, tmp_path):
    code, out, err = command("data", "fetch", "--data-dir", str(given))
    assert code == 0
    assert out.splitlines() == [
        f"CIFAR-10 in {tmp_path / 'cache' / 'cifar10'}",
        "train  100 images of 10 classes",
        "test   20 images of 10 classes",
        "sums   all as expected",
        "",
        "Next:",
        "  skexplore search --budget-gflops 4.5 --dataset cifar10",
    ]
    assert "checking CIFAR-10" in err
    assert "\x1b" not in err
    assert_cached(tmp_path / "cache" / "cifar10", ten)
    code, out, err = command("data", "fetch")  # again: what is sound stays, nothing is downloaded
    assert (code, err) == (0, "")


def test_fetch_of_cifar100_as_json(command, hundred, tmp_path):
    path = archive(tmp_path / "cifar-100-python.tar.gz", release100(hundred, "py"), "cifar-100-python")
    code, out, _ = command("data", "fetch", "--dataset", "cifar100", "--data-dir", str(path), "--json")
    cached = tmp_path / "cache" / "cifar100"
    assert (code, json.loads(out)) == (
        0,
        {
            "dataset": "cifar100",
            "folder": str(cached),
            "images": {"train": 200, "test": 100},
            "sums_ok": True,
        },
    )
    assert_cached100(cached, hundred)


def test_fetch_mends_a_changed_test_part(command, ten, given, tmp_path):
    command("data", "fetch", "--data-dir", str(given))
    _flip(tmp_path / "cache" / "cifar10" / "test_images.npy")
    code, _, err = command("data", "fetch", "--data-dir", str(given))
    assert code == 0
    assert "is damaged (test_batch: test_images.npy or test_labels.npy differs" in err
    assert_cached(tmp_path / "cache" / "cifar10", ten)


@pytest.mark.parametrize("harm", ["missing", "truncated", "foreign", "changed"])
def test_fetch_refuses_bad_files_by_name(command, given, tmp_path, harm):
    bad = given / "data_batch_4.bin"
    if harm == "missing":
        bad.unlink()
    elif harm == "changed":
        _flip(bad)
    else:
        bad.write_bytes(
            bad.read_bytes()[:99] if harm == "truncated" else (given / "data_batch_1.bin").read_bytes()
        )
    code, out, err = command("data", "fetch", "--data-dir", str(given))
    assert (code, out) == (2, "")
    assert "data_batch_4" in err
    assert str(given) in err
    assert_clean(tmp_path / "cache")


@pytest.mark.parametrize("action", ["fetch", "verify"])
def test_an_unknown_dataset_is_the_users_mistake(command, ten, action):
    code, out, err = command("data", action, "--dataset", "cifar-100")
    assert (code, out) == (2, "")
    assert err.startswith(
        "error: unknown dataset 'cifar-100' (did you mean cifar100?); known: cifar10, cifar100, svhn"
    )


def test_no_source_names_every_source(command, hundred):
    code, _, err = command("data", "fetch", "--dataset", "cifar100")
    assert code == 2
    for words in ("CIFAR-100 could not be found", "cache", "torchvision: no route to host", "--data-dir DIR"):
        assert words in err


def test_ctrl_c_exits_130_and_leaves_nothing(command, ten, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cifar, "_run", interrupted)
    code, out, err = command("data", "fetch")
    assert (code, out) == (130, "")
    assert "interrupted; nothing was cached" in err
    assert_clean(tmp_path / "cache")


SLOW = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background hands on that it is ignored
from skexplore.data import cache as cifar
cifar.TORCHVISION = "import os, time, threading\\n" \\
    "threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()\\n" \\
    "open('part', 'wb').write(bytes(5000)); time.sleep(60)"
sys.argv = ["skexplore", "data", "fetch"]
from skexplore.cli.app import main
main()
"""


def _end_download(process, cache, stroke):
    """Wait until the download is under way, then end the command; returns the process of the download."""
    deadline = time.monotonic() + 60
    while not list(cache.glob(".cifar10-*/torchvision/part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = psutil.Process(process.pid).children()[0]
    process.send_signal(signal.SIGINT if stroke == "ctrl-c" else signal.SIGKILL)
    return child


@pytest.mark.parametrize("stroke", ["ctrl-c", "kill -9"])
def test_a_fetch_ended_from_outside_leaves_nothing_half_done(ten, given, tmp_path, command, stroke):
    with subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.PIPE, text=True) as process:
        try:
            child = _end_download(process, tmp_path / "cache", stroke)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the download outlived the command"
        time.sleep(0.05)
    assert not (tmp_path / "cache" / "cifar10").exists()
    if stroke == "ctrl-c":
        assert process.returncode == 130
        assert "Traceback" not in err
        assert_clean(tmp_path / "cache")
    assert command("data", "fetch", "--data-dir", str(given))[0] == 0
    assert_cached(tmp_path / "cache" / "cifar10", ten)  # and nothing else is left in the cache


# verify


def test_verify_has_a_line_per_file(command, given):
    command("data", "fetch", "--data-dir", str(given))
    code, out, err = command("data", "verify")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", f"{name}:"] for name in NAMES]


@pytest.mark.parametrize(
    "name", ["train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy"]
)
@pytest.mark.parametrize("harm", ["missing", "truncated", "changed", "type"])
def test_verify_of_a_damaged_cache_names_the_file_and_the_way_out(command, given, tmp_path, name, harm):
    command("data", "fetch", "--data-dir", str(given))
    bad = tmp_path / "cache" / "cifar10" / name
    if harm == "missing":
        bad.unlink()
    elif harm == "truncated":
        bad.write_bytes(bad.read_bytes()[:-10])
    elif harm == "changed":
        _flip(bad)
    else:
        bad.write_bytes(bad.read_bytes().replace(b"|u1", b"|i1"))
    code, out, err = command("data", "verify")
    assert code == 1
    failed = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert name in failed[0]
    assert "skexplore data fetch --dataset cifar10" in err
    assert command("data", "fetch", "--data-dir", str(given))[0] == 0  # and it is one
    assert command("data", "verify")[0] == 0


def test_verify_of_cached_cifar100(command, hundred, tmp_path):
    path = folder(tmp_path / "given", release100(hundred, "bin"))
    command("data", "fetch", "--dataset", "cifar100", "--data-dir", str(path))
    code, out, _ = command("data", "verify", "--dataset", "cifar100", "--json")
    row = json.loads(out)
    assert (code, row["ok"], row["dataset"]) == (0, True, "cifar100")
    assert row["place"] == str(tmp_path / "cache" / "cifar100")
    assert [(each["name"], each["ok"]) for each in row["files"]] == [("train", True), ("test", True)]
    _flip(tmp_path / "cache" / "cifar100" / "test_labels.npy")
    code, out, err = command("data", "verify", "--dataset", "cifar100", "--json")
    row = json.loads(out)
    assert (code, row["ok"]) == (1, False)
    assert [(each["name"], each["ok"]) for each in row["files"]] == [("train", True), ("test", False)]
    assert "test_labels.npy" in row["files"][1]["detail"]
    assert "skexplore data fetch --dataset cifar100" in err


def test_verify_of_a_handed_over_folder_checks_every_file(command, given, tmp_path):
    code, out, _ = command("data", "verify", "--data-dir", str(given))
    assert (code, len(out.splitlines())) == (0, 6)
    _flip(given / "data_batch_2.bin")
    (given / "test_batch.bin").unlink()
    code, out, err = command("data", "verify", "--data-dir", str(given))
    failed = [line.split()[1] for line in out.splitlines() if line.startswith("FAILED")]
    assert (code, failed, len(out.splitlines())) == (1, ["data_batch_2.bin:", "test_batch.bin:"], 6)
    assert str(given) in err
    assert_clean(tmp_path / "cache")  # verify writes nothing


def test_verify_of_a_truncated_archive(command, hundred, tmp_path):
    path = archive(tmp_path / "cifar-100-python.tar.gz", release100(hundred, "py"), "cifar-100-python")
    assert command("data", "verify", "--dataset", "cifar100", "--data-dir", str(path))[0] == 0
    path.write_bytes(path.read_bytes()[:50_000])
    code, out, _ = command("data", "verify", "--dataset", "cifar100", "--data-dir", str(path))
    assert code == 1
    assert out.startswith("FAILED cifar-100-python.tar.gz: ")


def test_verify_of_what_is_not_there_is_the_users_mistake(command, ten, tmp_path):
    code, out, err = command("data", "verify")
    assert (code, out) == (2, "")
    assert "CIFAR-10 is not cached; fetch it with: skexplore data fetch --dataset cifar10" in err
    code, _, err = command("data", "verify", "--data-dir", str(tmp_path / "nowhere"))
    assert code == 2
    assert "does not exist" in err
    code, _, err = command("data", "verify", "--data-dir", str(tmp_path))
    assert code == 2
    assert "holds no CIFAR-10" in err


# What is shown


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_one_line_on_a_terminal():
    stream = _Terminal()
    bar = Bar(stream)
    bar("downloading", 0, 2_000_000)
    bar("downloading", 1_000_000, 2_000_000)
    bar("damaged, replacing it", 0, 0)
    bar.clear()
    start = "\r\x1b[K"
    assert stream.getvalue() == (
        f"{start}downloading 0 of 2 MB{start}downloading 1 of 2 MB{start}damaged, replacing it\n{start}"
    )


def test_progress_elsewhere_is_a_line_now_and_then():
    stream = io.StringIO()
    bar = Bar(stream, every=3600)
    for done in range(0, 2_000_000, 100_000):
        bar("downloading", done, 2_000_000)
    bar("checking", 0, 2_000_000)
    bar.clear()
    assert stream.getvalue() == "downloading 0 of 2 MB\nchecking 0 of 2 MB\n"


def test_the_data_commands_import_neither_torch_nor_pandas(given, tmp_path):
    script = (
        "import sys\n"
        f"sys.argv = ['skexplore', 'data', 'verify', '--data-dir', {str(tmp_path)!r}]\n"
        "from skexplore.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2, end.code\n"
        "heavy = {'torch', 'optuna', 'pandas', 'rich.live'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(cifar.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
