"""The progress of a study that is run from Python: one bar, in a terminal or a notebook, and nothing elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from types import TracebackType
from typing import Any

from tqdm.std import tqdm

from skexplore.engine.events import Event, Fetch, Note

IMAGES = " images"


class Bar:
    """A listener that shows bytes fetched, then images trained of those to train; use it as a context.

    A notebook shows it by ipywidgets where these are installed, else as text.
    """

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._unit = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Note):
            return
        if isinstance(event, Fetch):
            self._show(f"fetching {event.what}", "B", event.done, event.total)
            return
        said = f"{event.trained} of {event.target} trained"
        if not event.target:  # an ablation, or a block of one's own
            said = f"{event.anchors_left} left to train"
        total = event.images + event.images_left
        if event.kind == "epoch" and self._bar is not None and self._unit == IMAGES:
            # its images count already, and its training as not done yet
            total = int(self._bar.total or total)
        best = "" if event.best is None else f"best {100 * event.best:.2f} %"
        self._show(said, IMAGES, event.images, total, best)

    def _show(self, what: str, unit: str, done: int, total: int, best: str = "") -> None:
        if self._bar is None or self._unit != unit:  # what is fetched counts in no rate of training
            if self._bar is not None:
                self._bar.close()
            self._bar, self._unit = _new(total, unit), unit
        if self._bar.disable:
            return
        if self._bar.total != total:  # the one way to tell it that a notebook's bar hears of
            started = self._bar.start_t
            self._bar.reset(total=total)
            self._bar.start_t = started
        self._bar.n = done
        self._bar.set_description_str(what, refresh=False)
        self._bar.set_postfix_str(best, refresh=False)
        self._bar.refresh()


def _new(total: int, unit: str) -> tqdm[Any]:
    in_notebook = "ipykernel" in sys.modules
    kind: Any = tqdm
    if in_notebook and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as kind  # noqa: PLC0415 - it warns where there are no widgets
    # None: hidden where there is neither a terminal nor a notebook
    hidden = False if in_notebook else None
    made: tqdm[Any] = kind(total=total, unit=unit, unit_scale=True, disable=hidden, file=sys.stderr)
    return made
