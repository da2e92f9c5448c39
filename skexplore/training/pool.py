"""Worker processes on this machine: start them, hand them jobs, hear of their events."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import selectors
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from skexplore.errors import UserError
from skexplore.files import parse
from skexplore.study import Epoch
from skexplore.training.messages import Job, Outcome

STILLBORN = 3  # so many workers in a row that end before they are ready end the search


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEvent:
    """A worker finished an epoch of the training ``key``."""

    key: str
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneEvent:
    """A worker finished a job, or died over it (then the outcome is ``failed``)."""

    outcome: Outcome


@dataclass(slots=True, eq=False)
class _Worker:
    device: str
    process: subprocess.Popen[bytes]
    job: Job | None = None
    ready: bool = False
    buffer: bytes = b""

    @property
    def outlet(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def close(self) -> int:
        """End the process, if it has not ended, and return its exit status."""
        self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it had no time to read
                    pipe.close()
        return code


class WorkerError(RuntimeError):
    """Workers cannot work here (disk full, data gone, torch does not start): no trial could do better."""


class Pool:
    """A worker process for each of ``devices``, one job each. One that dies is replaced, its job failed.

    Use as a context: at its end every worker is ended and waited for. What workers and their libraries say
    on the side (warnings, tracebacks) is appended to ``log``.
    """

    def __init__(self, devices: list[str], log: Path) -> None:
        self._log = log.open("ab")
        self._stillborn = 0  # workers in a row that died before they were ready
        self._pausing = False
        self._selector = selectors.DefaultSelector()
        self._workers = [self._spawn(device) for device in devices]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()
        self._selector.close()
        self._log.close()

    @property
    def idle(self) -> int:
        """Number of workers without a job."""
        return sum(worker.job is None for worker in self._workers)

    @property
    def running(self) -> list[Job]:
        """Jobs in hand."""
        return [worker.job for worker in self._workers if worker.job is not None]

    def start(self, job: Job) -> None:
        """Give ``job`` to an idle worker."""
        worker = next(worker for worker in self._workers if worker.job is None)
        worker.job = job
        self._send(worker, {"do": "train", "job": asdict(job)})
        if self._pausing:  # the worker that was told so died
            self._send(worker, {"do": "pause"})

    def pause(self) -> None:
        """Ask every worker, one replaced later too, to end its job after the epoch in hand: ``paused``."""
        self._pausing = True
        for worker in self._workers:
            if worker.job is not None:
                self._send(worker, {"do": "pause"})

    def events(self, timeout: float) -> Iterator[EpochEvent | DoneEvent]:
        """Yield what workers said, after waiting at most ``timeout`` seconds for the first word."""
        for key, _ in self._selector.select(timeout):
            worker: _Worker = key.data
            chunk = os.read(worker.outlet.fileno(), 65536)
            if not chunk:
                yield from self._bury(worker)
                continue
            *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
            for line in lines:
                yield from self._hear(worker, json.loads(line))

    def _hear(self, worker: _Worker, message: dict[str, Any]) -> Iterator[EpochEvent | DoneEvent]:
        if message["kind"] == "broken":
            raise WorkerError(message["reason"])
        if message["kind"] == "ready":
            worker.ready, self._stillborn = True, 0
        if worker.job is None or message["kind"] == "ready":
            return
        if message["kind"] == "epoch":
            epoch = parse(Epoch, message["epoch"], "worker")
            yield EpochEvent(key=worker.job.spec.key, epoch=epoch)
        else:
            worker.job = None
            outcome = parse(Outcome, message["outcome"], "worker")
            if outcome.status == "failed" and worker.device != "cpu":
                self._replace(worker)  # an error may have left the GPU's context unusable
            yield DoneEvent(outcome=outcome)

    def _bury(self, worker: _Worker) -> Iterator[DoneEvent]:
        """Replace a dead worker; whatever it was doing failed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(timeout=5)  # its output has ended, so it is about to; its own status says why
        code, job = self._replace(worker), worker.job
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise WorkerError(
                    f"worker processes end as they start (exit status {code}); see {self._log.name}"
                )
        if job is None:
            return
        if not worker.ready:  # it never began, so that says nothing about the job
            self.start(job)
            return
        killed = " (killed; out of memory?)" if code == -9 else ""
        yield DoneEvent(
            outcome=Outcome(
                key=job.spec.key, status="failed", reason=f"worker ended with exit status {code}{killed}"
            )
        )

    def _replace(self, worker: _Worker) -> int:
        """End ``worker``, put a fresh one in its place, and return the exit status of the old one."""
        self._selector.unregister(worker.outlet)
        code = worker.close()
        self._workers[self._workers.index(worker)] = self._spawn(worker.device)
        return code

    def _spawn(self, device: str) -> _Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "skexplore.training.worker", device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for the coordinator, which decides what workers do
            env=os.environ | {"OMP_NUM_THREADS": "1"} if device == "cpu" else None,
        )
        worker = _Worker(device, process)
        self._selector.register(worker.outlet, selectors.EVENT_READ, worker)
        return worker

    def _send(self, worker: _Worker, message: dict[str, Any]) -> None:
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(json.dumps(message).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: the selector reports the end of its output next


def default_devices(workers: int | None) -> list[str]:
    """Return the devices of ``workers`` processes: one per GPU, else one per CPU core (``UserError`` if < 1)."""
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    gpus = _gpus()
    if gpus:
        count = workers or gpus
        return [f"cuda:{number % gpus}" for number in range(count)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["cpu"] * (workers or cores)


def _gpus() -> int:
    if sys.platform == "linux" and not Path("/dev/kfd").exists():  # of AMD
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            return 0  # without a driver torch, which takes seconds to load, would find none either
    import torch

    return torch.cuda.device_count()


def cpu_model() -> str:
    """Return the model of the processor and which of its instructions torch uses: errors depend on both."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = next(iter(models), "") or platform.processor() or platform.machine()
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"
