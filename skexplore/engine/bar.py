"""The progress of a study that is run from Python: one bar, in a terminal or a notebook, and nothing elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm

from skexplore.engine.events import Event, Fetch, Note


class Bar:
    """A listener that shows images trained, of those to train, with the lowest error so far; use it as a context."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._bar is None:
            # None: not where there is neither a terminal nor a notebook
            self._bar = tqdm(unit=" images", unit_scale=True, disable=None, file=sys.stderr)
        if self._bar.disable or isinstance(event, Note):
            return
        if isinstance(event, Fetch):
            self._show(f"fetching {event.what}", event.done, event.total)
        else:
            best = "" if event.best is None else f"best {100 * event.best:.2f} %"
            self._bar.set_postfix_str(best, refresh=False)
            self._show(
                f"{event.trained} of {event.target} trained", event.images, event.images + event.images_left
            )

    def _show(self, what: str, done: int, total: int) -> None:
        assert self._bar is not None
        self._bar.set_description_str(what, refresh=False)
        self._bar.total, self._bar.n = total, done
        self._bar.refresh()
