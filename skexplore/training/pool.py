"""Worker processes on this machine: start them, hand them jobs, receive their events.

Each is a ``Child`` that runs ``worker``; the messages of both directions are in ``messages``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from skexplore.errors import UserError
from skexplore.training.child import GONE, Child
from skexplore.training.messages import PAUSE, READY, EpochEvent, Job, Outcome, WorkerError

GPU_FILES = ("kfd", "dxg", "nvidiactl", "nvmap", "nvhost-gpu")  # of AMD, WSL, NVIDIA and its Jetson boards
FAILED_STARTS = 3  # so many workers in a row that end before they are ready end the search


@dataclass(slots=True, eq=False)
class _Worker:
    device: str
    child: Child
    job: Job | None = None
    ready: bool = False


class Pool:
    """A worker process for each of ``devices``, one job each. One that dies is replaced, its job failed.

    Use as a context: at its end every worker is ended and waited for. What workers and their libraries say
    on the side (warnings, tracebacks) is appended to ``log``.
    """

    def __init__(self, devices: list[str], log: Path) -> None:
        self._log = log.open("ab")
        self._failed_starts = 0  # workers in a row that died before they were ready
        self._pausing = False
        self._workers = [self._spawn(device) for device in devices]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.child.end()
        self._log.close()

    @property
    def idle(self) -> int:
        """Number of workers without a job."""
        return len(self._workers) - len(self.running)

    @property
    def running(self) -> list[Job]:
        """Jobs that are running."""
        return [worker.job for worker in self._workers if worker.job is not None]

    def start(self, job: Job) -> None:
        """Give ``job`` to an idle worker."""
        worker = next(worker for worker in self._workers if worker.job is None)
        worker.job = job
        if worker.ready:  # else it is sent once the worker is known to read it as it is meant
            worker.child.send(job)
        if self._pausing:  # the worker that was told so died
            worker.child.send(PAUSE)

    def pause(self) -> None:
        """Ask every worker, one replaced later too, to end its job after the epoch that is running: ``paused``."""
        self._pausing = True
        for worker in self._workers:
            if worker.job is not None:
                worker.child.send(PAUSE)

    def events(self, timeout: float) -> Iterator[EpochEvent | Outcome]:
        """Yield what workers said, after waiting at most ``timeout`` seconds for the first word.

        An ``Outcome`` ends a job; of a worker that died over its job it is ``failed``. Raises ``WorkerError``.
        """
        ready = wait([worker.child.connection for worker in self._workers], timeout)
        for worker in [worker for worker in self._workers if worker.child.connection in ready]:
            try:
                message = worker.child.connection.recv()
            except GONE:
                yield from self._replace_dead(worker)
            else:
                yield from self._hear(worker, message)

    def _hear(self, worker: _Worker, message: object) -> Iterator[EpochEvent | Outcome]:
        if isinstance(message, WorkerError):
            raise message
        if message == READY:
            worker.ready, self._failed_starts = True, 0
            if worker.job is not None:
                worker.child.send(worker.job)
        elif isinstance(message, EpochEvent):
            yield message
        elif isinstance(message, Outcome):
            worker.job = None
            if message.status == "failed" and worker.device != "cpu":
                worker.child.end()  # an error may have left the GPU's context unusable
                self._replace(worker)
            yield message
        else:
            raise WorkerError(
                "the installed skexplore was changed while this search runs; repeat the command"
            )

    def _replace_dead(self, worker: _Worker) -> Iterator[Outcome]:
        """Replace a dead worker; whatever it was doing failed."""
        code, job = worker.child.wait(), worker.job
        self._replace(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise WorkerError(
                    f"worker processes end as they start (exit status {code}); see {self._log.name}"
                )
        if job is None:
            return
        if not worker.ready:  # it never began, so that says nothing about the job
            self.start(job)
            return
        killed = " (killed; out of memory?)" if code == -9 else ""
        reason = f"worker ended with exit status {code}{killed}"
        yield Outcome(key=job.spec.key, status="failed", reason=reason)

    def _replace(self, worker: _Worker) -> None:
        self._workers[self._workers.index(worker)] = self._spawn(worker.device)

    def _spawn(self, device: str) -> _Worker:
        threads = 1 if device == "cpu" else None
        child = Child("skexplore.training.worker", device, log=self._log, threads=threads)
        return _Worker(device, child)


def default_devices(workers: int | None) -> list[str]:
    """Return the devices of ``workers`` processes: one per GPU, else one per CPU core (``UserError`` if < 1)."""
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    gpus = _gpus()
    if gpus:
        count = workers or gpus
        return [f"cuda:{number % gpus}" for number in range(count)]
    return ["cpu"] * (workers or core_count())


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    if sys.platform == "darwin" or (sys.platform == "linux" and not _has_driver()):
        return 0  # torch, which takes seconds to load, would find none either
    import torch

    return torch.cuda.device_count()


def _has_driver() -> bool:
    if any(Path("/dev", name).exists() for name in GPU_FILES):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def device_name(device: str) -> str:
    """Return what a worker's training on ``device`` depends on beside its specification: model, instructions, threads.

    The same key gives other digits on another device: they differ as much as those of two seeds.
    """
    from skexplore.nn import cpu_model, gpu_model  # they load torch

    kind = device.partition(":")[0]
    if kind == "cpu":
        return f"{cpu_model()}, 1 thread"  # as a worker has
    return gpu_model(device) if kind == "cuda" else device
