"""One task for many seeds, spread over processes: what comes out depends on their number by rounding at most."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

from skexplore.errors import StudyError

T = TypeVar("T")

_task: Callable[[int], Any]  # of a process that was started here


def spread(
    task: Callable[[int], T],
    seeds: Sequence[int],
    *,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[T]:
    """Return what ``task`` gives for each of ``seeds``, in their order.

    task: can be pickled, where there are more processes than one. progress: is told how many are done. Raises what the
    task raises, and ``StudyError`` if a process is killed. Ctrl-C ends the processes at once.
    """
    if processes == 1:
        return _collected(map(task, seeds), progress)
    others = {*active_children()}
    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_begin, initargs=(pickle.dumps(task),)
    )
    try:
        found = _collected(pool.map(_do, seeds), progress)
    except BaseException as error:
        for child in {*active_children()} - others:
            child.terminate()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise StudyError(
                f"one of {processes} processes was ended from outside, for example for want of memory; use fewer "
                "--workers"
            ) from error
        raise
    pool.shutdown()
    return found


def _collected(found: Iterable[T], progress: Callable[[int], None] | None) -> list[T]:
    done: list[T] = []
    for each in found:
        done.append(each)
        if progress:
            progress(len(done))
    return done


def _begin(task: bytes) -> None:
    global _task  # noqa: PLW0603 - what each process keeps, so that it is sent once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what it started
    # before numpy is loaded: the processes share the cores
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    _task = pickle.loads(task)


def _do(seed: int) -> Any:
    try:
        return _task(seed)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # the pool would break and not say why
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
