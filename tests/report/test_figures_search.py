"""What the figures of searches draw: read back from the plotly objects, on committed archives."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.searches import RANDOM, TPE

from skexplore.analysis import anchors_table, compare, incumbent
from skexplore.report.figures import front as figures
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


def test_a_name_goes_where_it_covers_nothing():
    own = (300.0, 200.0)
    assert figures._free_place(own, 6, [own]) == (-22, -34)
    taken = [own, (278.0, 166.0)]  # a point where the name would have gone
    way = figures._free_place(own, 6, taken)
    assert way != (-22, -34)
    x, y = own[0] + way[0], own[1] + way[1]
    assert not any(abs(px - x) < 25 and abs(py - y) < 12 for px, py in [own, (278.0, 166.0)])
    other = figures._free_place((304.0, 200.0), 6, taken)  # nor over the name that is there now
    assert abs(304 + other[0] - x) > 40 or abs(200 + other[1] - y) > 15
    assert figures._free_place((300.0, 5.0), 6, [])[1] > 0  # not beyond the top


def test_a_staircase_is_followed_along_both_ways():
    found = figures._along([(0.0, 0.0), (20.0, 25.0)])
    assert found == [(0, 0), (10, 0), (20, 0), (20, 10), (20, 20)]
