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


def progress(images, left, *, best=None, trained=1, kind="end", target=4):
    return Progress(
        kind=kind, study="s", trained=trained, target=target, anchors_left=0, best=best, counters={}, images=images,
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
    assert "5.00/10.0" in said
    assert "B/s" in said
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


def test_a_kernel_without_widgets_shows_text(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with Bar() as bar:
        bar(progress(20_000, 60_000))
        bar(progress(40_000, 40_000))
    assert "1 of 4 trained" in log.getvalue()
    assert "40.0k/80.0k" in log.getvalue()


def test_an_epoch_counts_its_images_and_leaves_what_is_to_be_trained(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bar() as bar:
        bar(progress(0, 80_000, kind="start", trained=0))
        bar(progress(20_000, 80_000, kind="epoch", trained=0))  # left, until it is done
    assert "20.0k/80.0k" in screen.getvalue()
    assert "100k" not in screen.getvalue()


def test_an_ablation_has_no_target_and_says_what_is_left(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Bar() as bar:
        bar(progress(0, 80_000, kind="start", trained=0, target=0))
    assert "0 left to train" in screen.getvalue()
    assert "of 0" not in screen.getvalue()
