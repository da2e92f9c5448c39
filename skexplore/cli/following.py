"""Reports that follow what is running: written again and again, and served on this machine alone."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from skexplore.errors import UserError

if TYPE_CHECKING:
    from skexplore.study import Study

EVERY = 10  # seconds between two reports of a running study
PATIENT = 5  # at least so many times as long as one report takes
HERE = "127.0.0.1"


def follow(name: str, beside: Sequence[str], folder: Path) -> None:
    """Write the report of a study into ``folder`` for as long as it runs; the open page loads itself anew.

    Whoever ends it leaves a page that rests.
    """
    from skexplore.report import write_report
    from skexplore.study import load_study

    others = [load_study(each) for each in beside]
    study = load_study(name)
    try:
        while study.state == "running":
            began = time.monotonic()
            write_report(study, folder, others, refresh=EVERY)
            print(f"{time.strftime('%H:%M:%S')} {_progress(study)}: {folder / 'index.html'}", file=sys.stderr)
            time.sleep(max(EVERY, PATIENT * (time.monotonic() - began)))
            study = load_study(name)
    except KeyboardInterrupt:
        write_report(study, folder, others)
        raise


def _progress(study: Study) -> str:
    from skexplore.study import status_row

    row = status_row(study)
    return f"{row['study']}, {row['trained']} of {row['target']} trained"


def keep_up(folder: Path, before: set[str], *, last: bool = False) -> set[str]:
    """Write the reports in ``folder`` of the studies that run here, or did so ``before``; return those that do.

    last: their pages are to rest from now on. A study whose report cannot be written is said and left out.
    """
    from skexplore.report import write_overview, write_report
    from skexplore.study import is_begun, known_studies, load_study

    now = set()
    for path in filter(is_begun, known_studies()):
        try:
            study = load_study(str(path))
            if study.state == "running":
                now.add(path.name)
            if path.name in now | before:
                refresh = EVERY if path.name in now and not last else 0
                write_report(study, folder / study.spec.name, refresh=refresh)
        except UserError as error:  # it has not begun yet, or cannot be read
            print(f"{path.name}: {error}", file=sys.stderr)
    write_overview(folder)
    return now


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files to this machine's browser alone: a page of another site, under a name of its own, is refused."""

    def do_GET(self) -> None:
        if self._is_for_here():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_for_here():
            super().do_HEAD()

    def _is_for_here(self) -> bool:
        name = self.headers.get("Host", "").partition(":")[0]
        if name in (HERE, "localhost"):
            return True
        self.send_error(HTTPStatus.FORBIDDEN, f"asked for as {name!r}, served to {HERE} alone")
        return False

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # a report is written anew under the same name
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def serving(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of ``folder`` that has begun; raises ``UserError`` if the port cannot be had."""
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer((HERE, port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--port {port}: cannot be served on ({error}); choose another, or 0 for any"
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
