"""``skexplore status`` loads no more than it needs; a command whose output is not read ends without a traceback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
def test_status_of_a_live_study_loads_optuna_alone(run, arguments):
    run(trials=1)
    out, heavy = status(*arguments)
    assert "k1" in out
    assert heavy == ["optuna", "sqlalchemy"]
