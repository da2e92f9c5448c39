"""The worker process: ``python -m skexplore.training.worker DEVICE``; jobs as JSON lines on stdin, events on stdout."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import asdict
from typing import IO, Any

from skexplore.errors import UserError
from skexplore.files import parse
from skexplore.study import Epoch
from skexplore.training.messages import Job


def main() -> None:
    """Serve jobs until stdin closes; exit at once then, since the coordinator is gone."""
    device = sys.argv[1]
    # stdout is the protocol: whatever a library prints goes to stderr instead
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(inbox, stop), daemon=True).start()
    _serve(device, channel, inbox, stop)


def _listen(inbox: queue.Queue[dict[str, Any]], stop: threading.Event) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message["do"] == "pause":
            stop.set()
        else:
            inbox.put(message["job"])
    os._exit(0)  # end of input: no coordinator, so nobody would read a result


def _serve(device: str, channel: IO[str], inbox: queue.Queue[dict[str, Any]], stop: threading.Event) -> None:
    import torch

    from skexplore.training.segment import run_job

    if device == "cpu":
        torch.set_num_threads(1)  # one process per core is faster than one process of many threads

    def send(kind: str, **content: Any) -> None:
        channel.write(json.dumps({"kind": kind} | content) + "\n")
        channel.flush()

    def on_epoch(epoch: Epoch) -> bool:
        send("epoch", epoch=asdict(epoch))
        return not stop.is_set()

    send("ready")
    while True:
        job = parse(Job, inbox.get(), "job")
        try:
            outcome = run_job(job, device, on_epoch)
        except OSError as error:
            send("broken", reason=f"{error.filename or job.study_folder}: {error.strerror or error}")
            return
        except UserError as error:
            send("broken", reason=str(error))
            return
        send("done", outcome=asdict(outcome))


if __name__ == "__main__":
    main()
