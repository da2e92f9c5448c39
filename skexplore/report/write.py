"""How reports are written: the one function that writes their files, and how numbers and text stand in them.

Tables and findings are not rounded, and text is never markup of HTML or Markdown.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from skexplore.files import write_atomic
from skexplore.report.figures import files as figure_files
from skexplore.report.sections import sections
from skexplore.templates import (
    Environment,
    Markup,
    environment,
    escape,
    markdown_code,
    markdown_text,
    template_source,
)
from skexplore.words import counted

STATUS_WORDS = {"over_budget": "over budget"}


def write_files(
    out: Path,
    *,
    tables: Mapping[str, pd.DataFrame],
    findings: Mapping[str, Any],
    template: str,
    content: Mapping[str, Any],
    data: Mapping[str, object],
    text: str = "report.md",
    page: str = "index.html",
    refresh: int = 0,
) -> list[Path]:
    """Write the files of a report into the folder ``out`` and return their paths.

    tables: the CSV files by name; findings: the content of ``findings.json``, ``f`` in the templates. template: the
    kind of report, as its two templates are called; content: what they name besides. data: what the page's scripts
    read, by name. text, page: names of the Markdown and the HTML file; refresh: seconds after which an open page loads
    itself anew, 0 for never. The same values give the same bytes. Raises ``OSError`` if the folder cannot be written.
    """
    held = {name: packed(compact(each)) for name, each in data.items()}
    values = {**content, "f": findings, "refresh": refresh, "data": held}
    texts = {f"{name}.csv": table.to_csv(index=False, lineterminator="\n") for name, table in tables.items()}
    texts["findings.json"] = json.dumps(findings, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts[text] = _rendered(_markdown(), template, "md", values)
    texts[page] = _rendered(html_environment(), template, "html", values)  # last: it links the others
    for name, content_of in texts.items():
        write_atomic(out / name, content_of)
    return [out / name for name in texts]


def _rendered(env: Environment, kind: str, form: str, values: Mapping[str, Any]) -> str:
    found = list(sections(env, kind, form, values))
    return env.get_template(f"{kind}.{form}.j2").render(values, sections=found)


def packed(text: str) -> str:
    """Return ``text`` compressed, as base64 of gzip: equal texts give equal bytes."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


@cache
def _packed_plotly() -> str:
    return packed(figure_files.plotly_js())


def compact(data: object) -> str:
    """Return ``data`` as JSON without spaces."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@cache
def html_environment() -> Environment:
    """Return the environment of HTML pages: filters, the packed plotly.js and the files beside the templates."""
    env = environment()
    env.autoescape = True  # in the files of sections too, which hold both HTML and Markdown
    env.filters |= FILTERS | dict.fromkeys(MARKDOWN, escape)  # in HTML, Markdown's filters do no more
    env.globals["interval"] = _interval
    env.globals["plotly_js"] = _packed_plotly()
    env.globals["source"] = lambda name: Markup(template_source(name).removesuffix("\n"))
    return env


@cache
def _markdown() -> Environment:
    """Return the environment of Markdown: every text that is printed stays text."""
    env = environment(finalize=markdown_text)  # HTML's escapes are not Markdown's
    env.globals["interval"] = _interval
    env.filters |= FILTERS | MARKDOWN
    return env


def _number(pattern: str, unit: float = 1.0) -> Callable[[float | None], str]:
    def show(value: float | None) -> str:
        return "–" if value is None else format(value / unit, pattern).replace("-", "−")

    return show


def _interval(low: float | None, high: float | None, filter_name: str) -> str:
    show = FILTERS[filter_name]
    return "–" if low is None else f"{show(low)} to {show(high)}"


def _chance(value: float | None) -> str:
    if value is None:
        return "–"
    return "≥ 99 %" if value > 0.99 else "≤ 1 %" if value < 0.01 else f"{100 * value:.0f} %"


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
    "chance": _chance,
    "counted": counted,
    "status": lambda status: STATUS_WORDS.get(status, status),
    "breakable": lambda block: Markup(str(escape(block)).replace(";", ";<wbr>")),
}


def _md_fenced(value: str) -> Markup:
    """Return a fenced block that ``value`` cannot close."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", value)), default=0))
    return Markup(f"{fence}text\n{value}\n{fence}")


def _md_evidence(value: str) -> Markup:
    """Return a sentence of the checklist; where it ends with a command, that is a code span.

    A name with ``<`` in it, which no study of ours has, stays text.
    """
    said, command, rest = _COMMAND.fullmatch(value).groups("")  # type: ignore[union-attr]  # every text matches
    parts = [markdown_text(said), markdown_code(command) if command else "", markdown_text(rest)]
    return Markup(" ".join(filter(None, parts)))


_COMMAND = re.compile(r"(.*?)(?:(?<=: )(skexplore [^<]*?))?( \(This is an archive.*)?", re.DOTALL)
MARKDOWN: dict[str, Callable[..., Any]] = {
    "code": markdown_code, "fenced": _md_fenced, "raw": Markup, "evidence": _md_evidence,
}  # fmt: skip
