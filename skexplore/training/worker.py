"""A worker process, one of a ``Pool``: trains the jobs that its coordinator sends, one after the other.

``python -m skexplore.training.worker FD DEVICE``: started as a ``Child``. It listens before it loads torch, and
while it trains, so that it ends as soon as its coordinator has: two must never train into one checkpoint.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from skexplore.errors import UserError
from skexplore.study import Epoch
from skexplore.training.child import GONE, connect
from skexplore.training.messages import PAUSE, READY, EpochEvent, Job, WorkerError


def main() -> None:
    """Train what is sent until the connection ends."""
    connection, device = connect(), sys.argv[2]
    jobs: queue.Queue[Job] = queue.Queue()
    pausing = threading.Event()
    threading.Thread(target=_listen, args=(connection, jobs, pausing), daemon=True).start()
    _serve(device, connection, jobs, pausing)


def _listen(connection: Connection[Any, Any], jobs: queue.Queue[Job], pausing: threading.Event) -> None:
    try:
        while True:
            message = connection.recv()
            if message == PAUSE:
                pausing.set()
            else:
                jobs.put(message)
    except GONE:
        os._exit(0)  # no coordinator, so nobody would receive a result
    except Exception:  # no message of ours: the coordinator sends jobs to a ``READY`` like its own alone
        traceback.print_exc()
        os._exit(1)


def _serve(
    device: str, connection: Connection[Any, Any], jobs: queue.Queue[Job], pausing: threading.Event
) -> None:
    import torch

    from skexplore.training.pool import device_name
    from skexplore.training.segment import run_job

    if device == "cpu":
        torch.set_num_threads(1)  # one process per core is faster than one process of many threads
    name = device_name(device)
    connection.send(READY)
    while True:
        job = jobs.get()

        def on_epoch(epoch: Epoch, key: str = job.spec.key) -> bool:
            connection.send(EpochEvent(key=key, epoch=epoch))
            return not pausing.is_set()

        try:
            connection.send(replace(run_job(job, device, on_epoch), device=name))
        except OSError as error:
            connection.send(WorkerError(f"{error.filename or job.study_folder}: {error.strerror or error}"))
        except UserError as error:
            connection.send(WorkerError(str(error)))


if __name__ == "__main__":
    main()
