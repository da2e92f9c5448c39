"""Prints the script of a search's page, whole, as a browser gets it: ``make check`` has it linted."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from skexplore.report import write_report
from skexplore.study import load_study

if __name__ == "__main__":
    study = load_study(str(Path(__file__).parents[1] / "studies/first-search"))
    with tempfile.TemporaryDirectory() as folder:
        write_report(study, Path(folder))
        page = (Path(folder) / "index.html").read_text(encoding="utf-8")
    sys.stdout.write(page.rpartition("<script>")[2].partition("</script>")[0])
