"""How a study is run, and functions that take all their options as keywords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import wraps
from inspect import Parameter, Signature
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from skexplore.engine.bar import Bar
from skexplore.engine.events import Event, Listener
from skexplore.errors import did_you_mean
from skexplore.study import Study

K = TypeVar("K")


def unheard(_: Event) -> None:
    """Let an event pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a study is run, which changes nothing of its results.

    workers: processes (None: one per GPU, else per core). time_limit: seconds. storage: an Optuna RDB URL instead
    of the study's own SQLite file. data_dir: a folder with the data set; data_folder: arrays prepared elsewhere.
    command: as typed. on_progress: is told what happens; without it ``progress`` says whether a bar is shown on a
    terminal and in a notebook. interrupts: how often the user asked to stop (once: after the epochs that are running,
    twice: now).
    """

    workers: int | None = None
    time_limit: float | None = None
    storage: str | None = None
    data_dir: Path | None = None
    data_folder: Path | None = None
    command: str = ""
    on_progress: Listener = unheard
    progress: bool = True
    interrupts: Callable[[], int] = lambda: 0


def by_keyword(kind: type[K]) -> Callable[[Callable[[K, Run], Study]], Callable[..., Study]]:
    """Let a function of a ``kind`` and a ``Run`` be called with the fields of both as keywords.

    What has no default may be given by its position. ``run`` is a whole ``Run``, which other keywords change. An
    unknown keyword is a ``TypeError`` that names the nearest one.
    """
    asked: tuple[Field[Any], ...] = fields(kind)  # type: ignore[arg-type]  # each request is a dataclass
    how = {each.name for each in fields(Run)}
    parameters = [_parameter(each) for each in (*asked, *fields(Run))]
    signature = Signature([*parameters, Parameter("run", Parameter.KEYWORD_ONLY, default=None)])

    def decorate(function: Callable[[K, Run], Study]) -> Callable[..., Study]:
        @wraps(function)
        def called(*given: object, **options: Any) -> Study:
            for name in options:
                if name not in signature.parameters:
                    hint = did_you_mean(name, signature.parameters)
                    raise TypeError(
                        f"{function.__name__}: no option {name!r}{hint}; options: {', '.join(signature.parameters)}"
                    )
            options = signature.bind(*given, **options).arguments
            for name, value in options.items():
                _check_type(f"{function.__name__}: {name}", value, signature.parameters[name].annotation)
            run = replace(
                options.pop("run", None) or Run(), **{name: options.pop(name) for name in how & set(options)}
            )
            if run.on_progress is not unheard or not run.progress:
                return function(kind(**options), run)
            with Bar() as bar:
                return function(kind(**options), replace(run, on_progress=bar))

        called.__signature__ = signature  # type: ignore[attr-defined]  # what help() and notebooks show
        return called

    return decorate


# how plain options are written in their classes: what may be given, and its name
_PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((Integral,), "a whole number"),
    "int | None": ((Integral, NoneType), "a whole number or None"),
    "float | None": ((Real, NoneType), "a number or None"),
    "str": ((str,), "a text"),
    "str | None": ((str, NoneType), "a text or None"),
}


def _check_type(option: str, value: object, written: object) -> None:
    """Raise ``TypeError`` for a plain option of another type, and for a text where there should be several."""
    allowed, name = _PLAIN.get(str(written), ((), ""))
    if allowed and (not isinstance(value, allowed) or isinstance(value, bool)):
        raise TypeError(f"{option} is {value!r}: must be {name}")
    if str(written).startswith("tuple") and isinstance(value, str):
        raise TypeError(f"{option} is {value!r}: must be a list, such as [{value!r}]")


def _parameter(option: Field[Any]) -> Parameter:
    default = option.default
    if option.default_factory is not MISSING:
        default = option.default_factory()
    if default is MISSING:
        return Parameter(option.name, Parameter.POSITIONAL_OR_KEYWORD, annotation=option.type)
    return Parameter(option.name, Parameter.KEYWORD_ONLY, default=default, annotation=option.type)
