"""What a study shows in a notebook: plotly's figures, a table that is text, drawings, and refusals in words."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest
from support.studies import only, synthetic

import skexplore
from skexplore.errors import UserError
from skexplore.study import Study, load_study

STUDIES = Path(__file__).parents[2] / "studies"


class Cells(HTMLParser):
    """The text of every cell of a table, and which elements there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open = tag == "td"
        if self._open:
            self.cells.append("")

    def handle_endtag(self, tag):
        self._open = self._open and tag != "td"

    def handle_data(self, data):
        if self._open:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def search() -> Study:
    return load_study(str(STUDIES / "first-search"))


@pytest.fixture(scope="module")
def ablation() -> Study:
    return load_study(str(STUDIES / "table7"))


def test_the_figures_of_a_search_are_plotlys(search):
    figures = [search.pareto(), search.pareto("ref_params"), search.placement(), search.course()]
    figures += [search.course("trained"), search.curves(), search.importances()]
    assert {type(figure) for figure in figures} == {go.Figure}
    front = next(trace for trace in figures[0].data if "front" in (trace.name or ""))
    assert sorted(front.x) == pytest.approx([record.ref_macs / 1e9 for record in search.front])
    assert len(figures[0].data) < len(search.pareto(beside=[load_study(str(STUDIES / "first-random"))]).data)


def test_an_ablation_has_means_and_a_search_a_front(search, ablation):
    assert isinstance(ablation.means(), go.Figure)
    with pytest.raises(UserError, match=r"table7 is an ablation.*means\(\)"):
        ablation.pareto()
    with pytest.raises(UserError, match=r"first-search is no ablation.*pareto\(\)"):
        search.means()


def test_what_cannot_be_compared_is_not_drawn_beside(search, ablation):
    with pytest.raises(UserError, match="table7 is an ablation"):
        search.pareto(beside=[ablation])
    with pytest.raises(UserError, match=r"synthetic cannot be drawn beside first-search: .*data differ"):
        search.course(beside=[synthetic()])


def test_a_search_is_shown_by_its_front_in_text_and_in_small(search):
    shown = Cells(search._repr_html_())
    assert [cell for cell in shown.cells if cell in {record.block for record in search.front}] == [
        record.block for record in search.front
    ]
    assert "svg" in shown.tags
    assert not {"script", "style"} & shown.tags
    assert search.best is not None
    assert f"{search.best.block} is believed best" in search._repr_html_()


def test_an_ablation_is_shown_by_its_variants(ablation):
    cells = Cells(ablation._repr_html_()).cells
    assert cells[0::3] == [variant.name for variant in ablation.spec.ablation.variants]
    assert cells[2] == "–"  # the baseline
    assert {cell[0] for cell in cells[5::3]} == {"+", "−"}
    assert "mean validation error, %" in ablation._repr_html_()
    confirmation = load_study(str(STUDIES / "first-search-confirm"))
    assert "mean test error, %" in confirmation._repr_html_()


def test_a_study_without_results_is_shown_too():
    assert "Nothing is complete yet" in synthetic(records=())._repr_html_()


def test_a_hostile_name_stays_text():
    hostile = only(("k3", "complete", 0.4, 6), name="<script>alert(1)</script>")
    assert "<script>" not in hostile._repr_html_()


def test_blocks_are_drawn_by_number_by_notation_and_the_best(search):
    trial = search.searched[0]
    assert f"Block {trial.block}" in search.draw(trial.number).svg
    assert search.best is not None
    assert f"Block {search.best.block}" in search.draw().svg
    assert "Block k3+k5/r8" in search.draw("k3+k5/r8").svg
    assert search.draw()._repr_svg_().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    with pytest.raises(UserError, match="has no trial 99; its trials are 0 to 7"):
        search.draw(99)
    with pytest.raises(UserError, match="nothing is complete yet"):
        synthetic(records=()).draw()
    with pytest.raises(UserError, match="table7 is no search"):
        load_study(str(STUDIES / "table7")).draw()


def test_a_study_is_read_without_what_draws_it(tmp_path):
    import subprocess
    import sys

    code = (
        f"import sys, skexplore; study = skexplore.load_study({str(STUDIES / 'first-search')!r}); study.front; "
        "repr(study); assert 'plotly' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "first-search" in repr(skexplore.load_study(str(STUDIES / "first-search")))
