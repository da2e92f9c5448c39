"""What the figures of searches draw: read back from the plotly objects, on committed archives."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.searches import RANDOM, TPE

from skexplore.analysis import anchors_table, compare, incumbent
from skexplore.report.figures.comparison import curves_figure
from skexplore.report.figures.course import incumbent_figure
from skexplore.study.store import load_study


def test_a_group_s_line_is_its_pooled_course_and_the_thin_line_its_searches():
    found = compare([*TPE, *RANDOM])
    label = next(iter(found.curves["group"]))
    figure = curves_figure(found.curves, {label: "words"}, images=found.images)
    rows = found.curves[found.curves["group"] == label]
    thick = next(trace for trace in figure.data if trace.name == "words")
    pooled = rows[rows["study"] == ""]
    assert list(thick.x) == list(pooled["images"])
    assert list(thick.y) == pytest.approx(list(100 * pooled["best_val_error"]))
    thin = next(trace for trace in figure.data if trace.line.width == 1)
    names = rows.loc[rows["study"] != "", "study"].nunique()
    assert list(thin.x).count(None) == names == len(TPE)


def test_lines_of_anchors_span_the_whole_course_from_its_first_image():
    study = load_study(str(Path(__file__).parents[2] / "studies" / "first-search"))
    course, anchors = incumbent(study), anchors_table(study)
    figure = incumbent_figure(course, anchors, x="images", bar=None)
    lines = [trace for trace in figure.data if "mean of" in (trace.name or "")]
    assert [list(line.x) for line in lines] == [[0, course["images"].max()]] * len(anchors)
    assert [line.y[0] for line in lines] == pytest.approx(list(100 * anchors["mean"]))
