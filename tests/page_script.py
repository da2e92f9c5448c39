"""Prints the script of a search's page, whole, as a browser gets it: ``make check`` has it linted."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from support.studies import synthetic

from skexplore.report import write_report

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_report(synthetic(), Path(folder))
        page = (Path(folder) / "index.html").read_text()
    sys.stdout.write(page.rpartition("<script>")[2].partition("</script>")[0])
