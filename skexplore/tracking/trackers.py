"""Experiment trackers by name, behind one form of call: a run of a group, with its settings, and values by step.

Each keeps its files in the folder that it is given. What would use the network does so only where the tracker's own
environment variables ask for it (``MLFLOW_TRACKING_URI``, ``WANDB_MODE=online``, ``TRACKIO_SPACE_ID`` or
``TRACKIO_SERVER_URL``).
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skexplore.errors import UserError, lookup

Values = Mapping[str, float]
Log = Callable[[int, Values], None]  # values after a step
Finish = Callable[[bool], None]  # told whether the run ended as it should
Run = tuple[Log, Finish]
Open = Callable[[str, Mapping[str, Any]], Run]  # a run by its name, with its settings

# what trackers send home about their use, unless the user has said something else
_SILENT = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_ERROR_REPORTING": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A tracker: the package that must be installed, and what opens it for a folder and a group of runs."""

    package: str
    begin: Callable[[Path, str], Open]


def check_tracker(name: str) -> str:
    """Return ``name`` if it is that of a tracker that is installed; raises ``UserError``."""
    kind = lookup(name, TRACKERS, what="tracker")
    if importlib.util.find_spec(kind.package) is None:
        raise UserError(f'--track {name}: {kind.package} is not installed: pip install "skexplore[{name}]"')
    return name


class Tracker:
    """A tracker for the runs of one group (a study), kept in ``folder``; ``warn`` hears once of a failure."""

    def __init__(self, name: str, folder: Path, group: str, *, warn: Callable[[str], object]) -> None:
        self._name, self._folder, self._group, self._warn = name, folder, group, warn
        self._open: Open | None = None
        self._failed = False

    @contextmanager
    def run(self, name: str, config: Mapping[str, Any]) -> Iterator[Log]:
        """Yield what logs the values of one run; it is marked as failed where what is within raises."""
        begun: list[Run] = []

        def begin() -> None:
            if self._open is None:
                for key, value in _SILENT.items():
                    os.environ.setdefault(key, value)
                self._open = TRACKERS[self._name].begin(self._folder, self._group)
            begun.append(self._open(name, config))

        def log(step: int, values: Values) -> None:
            for tell, _ in begun:
                self._try(partial(tell, step, values))

        self._try(begin)
        well = False
        try:
            yield log
            well = True
        finally:
            for _, finish in begun:
                self._try(partial(finish, well))

    def _try(self, work: Callable[[], object]) -> None:
        """Do ``work``; whatever goes wrong in a tracker is said once, and ends the tracking alone."""
        if self._failed:
            return
        try:
            with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # stdout is for results
                warnings.simplefilter("ignore")  # of packages about each other
                work()
        except Exception as error:
            self._failed = True
            lines = str(error).strip().splitlines()
            said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            with suppress(Exception):
                self._warn(f"{self._name} failed ({said}); the training goes on without it")


def _plain_name(text: str) -> str:
    """Return ``text`` as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")[:120] or "run"


def _tensorboard(folder: Path, _: str) -> Open:
    from torch.utils.tensorboard import SummaryWriter

    def begin(name: str, config: Mapping[str, Any]) -> Run:
        writer = SummaryWriter(str(folder / "tensorboard" / _plain_name(name)))
        rows = "".join(f"| {key} | {value} |\n" for key, value in config.items())
        writer.add_text("settings", f"| | |\n|---|---|\n{rows}")

        def log(step: int, values: Values) -> None:
            for key, value in values.items():
                writer.add_scalar(key, value, step)
            writer.flush()

        return log, lambda _: writer.close()

    return begin


def _mlflow(folder: Path, group: str) -> Open:
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        (folder / "mlflow").mkdir(parents=True, exist_ok=True)
        address = f"sqlite:///{(folder / 'mlflow' / 'mlflow.db').absolute()}"
    client = MlflowClient(tracking_uri=address)
    known = client.get_experiment_by_name(group)
    place = (
        None
        if os.environ.get("MLFLOW_TRACKING_URI")
        else (folder / "mlflow" / "artifacts").absolute().as_uri()
    )
    experiment = known.experiment_id if known else client.create_experiment(group, artifact_location=place)

    def begin(name: str, config: Mapping[str, Any]) -> Run:
        number = client.create_run(experiment, run_name=name).info.run_id
        for key, value in config.items():
            client.log_param(number, key, value)

        def log(step: int, values: Values) -> None:
            for key, value in values.items():
                client.log_metric(number, key, value, step=step)

        return log, lambda well: client.set_terminated(number, "FINISHED" if well else "FAILED")

    return begin


def _wandb(folder: Path, group: str) -> Open:
    import wandb

    mode: Any = os.environ.get("WANDB_MODE", "offline")

    def begin(name: str, config: Mapping[str, Any]) -> Run:
        folder.mkdir(parents=True, exist_ok=True)
        own = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "skexplore"),
            group=group,
            name=name,
            config=dict(config),
            dir=str(folder),
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )
        return lambda step, values: own.log(dict(values), step=step), lambda well: own.finish(
            0 if well else 1
        )

    return begin


def _trackio(folder: Path, group: str) -> Open:
    remote = any(os.environ.get(name) for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"))
    if not remote:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        # which it reads once for all: studies are its projects
        os.environ.setdefault("TRACKIO_DIR", str((folder.parent / "trackio").absolute()))
    import trackio

    project = _plain_name(group)

    def begin(name: str, config: Mapping[str, Any]) -> Run:
        own = trackio.init(
            project,
            name=name,
            group=group,
            config=dict(config),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return lambda step, values: own.log(dict(values), step=step), lambda _: trackio.finish()

    return begin


TRACKERS: dict[str, _Kind] = {
    "tensorboard": _Kind(package="tensorboard", begin=_tensorboard),
    "mlflow": _Kind(package="mlflow", begin=_mlflow),
    "wandb": _Kind(package="wandb", begin=_wandb),
    "trackio": _Kind(package="trackio", begin=_trackio),
}
