"""Processes of ours and what is said over their connection: without torch, so that they start at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skexplore.training.child import GONE, Child

MODULE = """
import json, os, sys
from skexplore.training.child import connect
connection = connect()
print("to stdout")
print("to stderr", file=sys.stderr)
os.system("echo from a library of C")
threads = os.environ.get("OMP_NUM_THREADS")
connection.send([sys.argv[2:], threads, os.getsid(0) == os.getpid(), "torch" in sys.modules])
connection.send(connection.recv())
connection.recv()
"""


@pytest.fixture
def child():
    Path("said.py").write_text(MODULE)  # python -m looks in the working folder first
    with Path("log").open("ab") as log:
        child = Child("said", "one", "two", log=log, threads=3)
        yield child
        child.end()


def test_objects_go_both_ways_and_prints_go_to_the_log(child, capfd):
    assert child.connection.recv() == [["one", "two"], "3", True, False]
    child.send({"any": ("object", 1)})
    assert child.connection.recv() == {"any": ("object", 1)}
    assert child.end() == -signal.SIGKILL
    assert capfd.readouterr() == ("", "")
    log = Path("log").read_text()
    assert all(words in log for words in ("to stdout", "to stderr", "from a library of C"))


def test_the_environments_number_of_threads_is_left_where_none_is_given(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    Path("said.py").write_text(MODULE)
    with Path("log").open("ab") as log:
        child = Child("said", log=log)
        assert child.connection.recv()[:2] == [[], "7"]
        child.end()


def test_a_child_keeps_memory_that_it_frees_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "123")
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    said = 'connection.send([os.environ.get(f"MALLOC_{name}_THRESHOLD_") for name in ("MMAP", "TRIM")])'
    Path("said.py").write_text(MODULE.partition("threads =")[0] + said)
    with Path("log").open("ab") as log:
        child = Child("said", log=log, threads=1)
        assert child.connection.recv() == [str(2**25), "123"]
        child.end()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the thresholds are glibc's")
def test_memory_that_a_child_frees_and_takes_again_costs_no_page_faults():
    """16 MiB a hundred times over, as the tensors of a training: 400,000 faults where it is given back each time."""
    code = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
for _ in range(100):
    memory = libc.malloc(1 << 24)
    ctypes.memset(memory, 1, 1 << 24)
    libc.free(memory)
connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
    Path("said.py").write_text(MODULE.partition("print")[0] + code)
    with Path("log").open("ab") as log:
        child = Child("said", log=log)
        assert child.connection.recv() < 20_000
        child.end()


def test_a_child_that_dies_ends_the_connection_and_tells_its_status(child):
    child.connection.recv()
    child.send("never read")  # the end is told all the same
    os.kill(child.process.pid, signal.SIGTERM)
    child.process.wait()
    child.send("to nobody")
    with pytest.raises(GONE):
        child.connection.recv() and child.connection.recv()
    assert child.wait() == -signal.SIGTERM


def test_a_worker_listens_before_it_loads_torch():
    Path("torch").mkdir()
    Path("torch/__init__.py").write_text("import time\nopen('loading', 'w').close()\ntime.sleep(100)\n")
    with Path("log").open("ab") as log:
        child = Child("skexplore.training.worker", "cpu", log=log)
        while not Path("loading").exists():
            assert child.process.poll() is None
        child.connection.close()  # as the death of a coordinator does
        assert child.process.wait(timeout=10) == 0
    assert Path("log").read_text() == ""


def test_a_worker_that_gets_what_it_cannot_read_ends_and_says_why():
    Path("torch.py").write_text("import time\ntime.sleep(100)\n")
    with Path("log").open("ab") as log:
        child = Child("skexplore.training.worker", "cpu", log=log)
        child.connection.send_bytes(b"not a pickle")
        assert child.wait() == 1
    assert "UnpicklingError" in Path("log").read_text()


SCRIPT = """
import json, sys
from pathlib import Path
import skexplore
from skexplore.study.recipe import PROFILES, Profile, Recipe, Split
print("script begins")
PROFILES["tiny"] = Profile(
    name="tiny", backbone="8x4d-1111-s2", recipe=Recipe(epochs=1, batch_size=64),
    split=Split(dataset="synthetic", train_images=128, val_images=64), trials=1, anchor_seeds=1, why="tests",
)
study = skexplore.search(
    budget_gflops=4.5, profile="tiny", study="s", trials=1, workers=2, anchors="none", data_folder=Path(sys.argv[1])
)
print(json.dumps([study.state, len(study.trials())]))
"""


@pytest.mark.slow
def test_a_script_that_searches_at_its_top_level_is_run_once(synthetic_data):
    """Neither a guard nor a module of its own is asked of the user: no worker runs the script again."""
    Path("script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(synthetic_data)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    begins, result = done.stdout.splitlines()
    assert begins == "script begins"
    assert json.loads(result)[0] == "finished"
