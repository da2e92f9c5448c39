"""The one writer of all reports: text stays text, boxes have names, and its files are the same for the same values."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from support.ablations import STUDIES
from support.searches import RANDOM, TPE
from support.studies import synthetic

from skexplore.analysis.repeats import compare
from skexplore.report.comparison import write_comparison
from skexplore.report.search import write_report
from skexplore.report.write import write_files


def hostile(field):
    return f"<img src=x onerror=alert({field})> |`*_[{field}](javascript:alert(1))"


RECORD = ("origin", "status", "sampler", "reason")
SPEC = ("name", "space", "sampler", "profile")


@pytest.fixture
def search(tmp_path):
    """Write the report of a search all of whose free strings are hostile, some of whose records' are."""
    study = synthetic(
        command=hostile("command"),
        state=hostile("state"),
        environment={hostile("key"): hostile("value")},
    )
    spec = replace(study.spec, **{field: hostile(f"spec {field}") for field in SPEC})
    odd = [replace(study.searched[5], **{field: hostile(field)}) for field in RECORD]
    write_report(replace(study, spec=spec).with_records([*study.records, *odd]), tmp_path)
    return tmp_path


def test_no_free_string_of_an_archive_is_markup_of_html(search):
    page = (search / "index.html").read_text(encoding="utf-8")
    assert "<img" not in page
    for field in ("command", "state", "key", "value", "status", *(f"spec {field}" for field in SPEC)):
        assert html.escape(hostile(field)) in page, field


def test_no_free_string_of_an_archive_is_markup_of_markdown(search):
    text = (search / "report.md").read_text(encoding="utf-8")
    lines, fenced = text.split("````text\n") if "````text\n" in text else text.split("```text\n")
    assert hostile("command") in fenced
    prose = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", lines))  # without escaped marks and code
    assert "<img" not in prose
    assert "](" not in prose
    assert "onerror" in prose
    for table in re.findall(r"(?:^\|.*\n)+", prose, flags=re.M):  # no text adds a cell to its row
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize("kind", ["search", "ablation", "comparison"])
def test_every_box_that_may_scroll_has_a_name_and_is_reached_by_the_keyboard(kind, tmp_path):
    if kind == "comparison":
        write_comparison(compare([*TPE, *RANDOM]), tmp_path)
    else:
        write_report(synthetic() if kind == "search" else STUDIES["table"], tmp_path)
    (page,) = (path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html"))
    boxes = re.findall(r'<div class="box[^>]*>', page)
    assert len(boxes) >= 2
    for box in boxes:
        assert re.search(r' tabindex="0" role="region" aria-label="[^"]+">$', box), box
    names = re.findall(r'role="region" aria-label="([^"]+)"', page)
    assert len(set(names)) == len(names)


def test_a_report_is_written_of_its_parts(tmp_path):
    found = {"groups": [], "repeats": [], "pairs": [], "differences": [], "notes": [], "images": 1}
    found |= {"reference": {"error": 0.5, "gflops": 4.5, "why": "given", "area": 2.25}}

    def write(folder):
        return write_files(
            folder,
            tables={"one": pd.DataFrame({"n": [1, 2], "error": [0.1 + 0.2, None]})},
            findings=found,
            template="comparison",
            content={"spec": TPE[0].spec, "studies": []},
            data={"figures": {}},
            text="said.md",
            page="shown.html",
        )

    paths = write(tmp_path / "a")
    assert [path.name for path in paths] == ["one.csv", "findings.json", "said.md", "shown.html"]
    assert paths[0].read_bytes() == b"n,error\n1,0.30000000000000004\n2,\n"
    assert json.loads(paths[1].read_text()) == found
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in write(tmp_path / "b")]
