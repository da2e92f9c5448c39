"""How reports write: numbers, durations, tables as CSV, and text that is no markup of HTML or Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from skexplore.report.figures import files as figure_files
from skexplore.report.page_data import packed
from skexplore.templates import Environment, environment, template_source

STATUS_WORDS = {"over_budget": "over budget"}


def page_environment() -> Environment:
    """Return the environment of HTML pages: filters, the packed plotly.js and the files beside the templates."""
    env = environment()
    env.filters |= FILTERS
    env.globals["plotly_js"] = packed(figure_files.plotly_js())
    env.globals["source"] = lambda name: Markup(template_source(name))
    return env


def markdown_environment() -> Environment:
    """Return the environment of Markdown: every text that is printed stays text."""
    env = environment(finalize=_md_text)  # HTML's escapes are not Markdown's
    env.filters |= FILTERS | {"code": _md_code, "fenced": _md_fenced, "raw": Markup}
    return env


def csv_text(table: pd.DataFrame) -> str:
    """Return ``table`` as CSV: numbers not rounded, a missing value empty."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def json_text(data: object) -> str:
    """Return ``data`` as JSON for readers."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _number(pattern: str, unit: float = 1.0) -> Callable[[float | None], str]:
    def show(value: float | None) -> str:
        return "–" if value is None else format(value / unit, pattern).replace("-", "−")

    return show


def _duration(seconds: float) -> str:
    """Return seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


FILTERS: dict[str, Callable[..., Any]] = {
    "pct": _number(".2f", 0.01),
    "points": _number("+.2f", 0.01),
    "share": _number(".0f", 0.01),
    "giga": _number(".3f", 1e9),
    "mega": _number(".2f", 1e6),
    "kilo": _number(".1f", 1e3),
    "plain2": _number(".2f"),
    "signed": _number("+.1f"),
    "whole": _number(",.0f"),
    "duration": _duration,
    "status": lambda status: STATUS_WORDS.get(status, status),
    "breakable": lambda block: Markup(str(escape(block)).replace(";", ";<wbr>")),
}


def _md_text(value: Any) -> Any:
    """Return text on one line in which no character is markup of Markdown or HTML."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", " ".join(value.split()))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _md_code(value: str) -> Markup:
    """Return a code span for a table cell."""
    line = " ".join(str(value).split()).replace("|", "\\|").replace("`", "'")
    return Markup(f"`{line}`")  # not HTML: the mark says that Markdown's escapes are done


def _md_fenced(value: str) -> Markup:
    """Return a fenced block that ``value`` cannot close."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", value)), default=0))
    return Markup(f"{fence}text\n{value}\n{fence}")
