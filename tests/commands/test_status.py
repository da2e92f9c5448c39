"""``skexplore status`` loads no more than it needs; a command that cannot write or load torch says so in one line."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skexplore.cli.app import main

ARCHIVE = Path(__file__).parents[2] / "studies" / "first-search"
SCRIPT = """
import sys
from skexplore.cli.app import main
sys.argv = ["skexplore", "status", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted({"torch", "pandas", "scipy", "plotly", "optuna", "sqlalchemy"} & set(sys.modules)), file=sys.stderr)
"""


def status(*arguments: str) -> tuple[str, list[str]]:
    """Return what ``status`` prints, and the heavy packages that it loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr.split()


def test_status_of_archives_loads_nothing_heavy():
    shutil.copytree(ARCHIVE, "studies/first-search")
    for arguments in ([], ["first-search"], ["--json"]):
        out, heavy = status(*arguments)
        assert "first-search" in out
        assert heavy == []


@pytest.mark.parametrize("arguments", [[], ["s"]])
def test_status_of_a_live_study_loads_sqlalchemy_alone(run, arguments):
    block = run(trials=1).best.block
    out, heavy = status(*arguments)
    assert block in out
    assert heavy == ["sqlalchemy"]


RUN = "import sys; from skexplore.cli.app import main; sys.argv = ['skexplore', *sys.argv[1:]]; main()"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["cost", "k3", "--json"], ["status"], ["--help"]])
def test_output_that_cannot_be_written_is_one_line_on_stderr(monkeypatch, arguments, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("arguments", [["cost", "k3"], ["space", "list"]])
def test_closed_stdout_is_no_traceback(arguments):
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_failure_of_the_system_is_not_called_one_of_the_output(monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("skexplore.cli.app.app", fails)
    with pytest.raises(OSError, match="No space left"):
        main()


def test_archive_that_cannot_be_written_says_where_and_why(run, command):
    run(trials=1)
    Path("studies/s/records.jsonl").mkdir()
    code, _, err = command("archive", "s")
    assert code == 2
    assert "studies/s/records.jsonl: cannot be written (Is a directory); make room" in err
    assert "--out" not in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_nobody_reads_ends_quietly(monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    end, pipe = os.pipe()
    os.close(end)
    with os.fdopen(pipe, "w") as nobody:
        done = subprocess.run(
            [sys.executable, "-c", RUN, "cost", "k3"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")


TOO_LARGE = "libtorch_cpu.so: failed to map segment from shared object"  # what the linker says


@pytest.mark.parametrize(
    ("error", "code"),
    [(f"ImportError({TOO_LARGE!r})", 1), ("MemoryError()", 1), ("ImportError('else')", None)],
)
def test_a_memory_too_small_for_torch_is_said(monkeypatch, error, code):
    Path("torch.py").write_text(f"raise {error}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
    asked = [sys.executable, "-c", RUN, "build", "--block", "k3", "--summary"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if code is None:  # a broken installation is not explained away
        assert done.stderr.endswith("ImportError: else\n")
        return
    assert done.returncode == code
    assert done.stderr.startswith("ended: torch could not be loaded for lack of memory; it takes about 4 GB")
    assert done.stderr.count("\n") == 1
    build = [sys.executable, "-c", "import skexplore; skexplore.build('k3')"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if "MemoryError" not in error:
        assert "ImportError: torch could not be loaded for lack of memory" in done.stderr
