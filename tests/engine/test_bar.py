"""The bar of a study that is run from Python: images, the lowest error, and nothing where nobody looks."""

from __future__ import annotations

import io
import sys

import pytest

from skexplore.engine.bar import Bar
from skexplore.engine.coordinator import Progress
from skexplore.engine.events import Fetch, Note
from skexplore.engine.options import Run, by_keyword, unheard
from skexplore.plan import Request


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress(images, left, *, best=None, trained=1):
    return Progress(
        kind="end", trained=trained, target=4, anchors_left=0, best=best, counters={}, images=images,
        images_left=left, seconds=1.0,
    )  # fmt: skip


def test_a_terminal_sees_what_is_fetched_and_trained(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bar() as bar:
        bar(Note(text="said by the command line alone"))
        bar(Fetch(what="cifar10", done=5, total=10))
        bar(progress(20_000, 60_000))
        bar(progress(80_000, 0, best=0.3336, trained=4))
    said = screen.getvalue()
    assert "fetching cifar10" in said
    assert "said by" not in said
    last = said.replace("\n", "\r").rstrip("\r").split("\r")[-1]
    assert "4 of 4 trained" in last
    assert "80.0k/80.0k" in last
    assert "best 33.36 %" in last


def test_where_nobody_looks_nothing_is_written(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with Bar() as bar:
        bar(progress(20_000, 60_000))
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, Bar), ({"progress": False}, type(unheard)), ({"on_progress": print}, type(print))],
)
def test_the_bar_is_there_unless_somebody_listens_or_wants_none(options, kind):
    found = []

    @by_keyword(Request)
    def search(request: Request, run: Run):
        found.append(run.on_progress)

    search(budget_gflops=4.5, **options)
    assert type(found[0]) is kind
