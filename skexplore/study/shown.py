"""What a study shows of itself in a notebook: its figures, its blocks drawn, its table.

Figures are drawn by the room ``report``, which stands above this one: it is looked up by name when one is asked for, so
that a study is read without plotly.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from skexplore.arch import Drawing, block_svg
from skexplore.errors import UserError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from skexplore.study.record import Record
    from skexplore.study.spec import StudySpec
    from skexplore.study.study import Study

Cost = Literal["ref_macs", "ref_params"]


class Shown:
    """The part of ``Study`` that draws. Figures are plotly's; the methods of a search are refused to an ablation."""

    if TYPE_CHECKING:  # what it needs of a study
        spec: StudySpec

        @property
        def searched(self) -> tuple[Record, ...]: ...  # noqa: D102

        @property
        def best(self) -> Record | None: ...  # noqa: D102

    def pareto(self, x: Cost = "ref_macs", beside: Sequence[Study] = ()) -> Figure:
        """Return estimated errors over the cost ``x`` at the reference, with the fronts of studies ``beside``."""
        return self._search_figure("notebook:pareto", x, beside)

    def placement(self) -> Figure:
        """Return the trials among the rows of Tables 3, 6 and 7, by their costs at the reference."""
        return self._search_figure("plots:placement_figure")

    def course(self, x: Literal["images", "trained"] = "images", beside: Sequence[Study] = ()) -> Figure:
        """Return the estimated error of the block that the search would have named, over images or trainings."""
        return self._search_figure("notebook:course", x, beside)

    def curves(self) -> Figure:
        """Return the validation errors after each epoch, the front emphasised."""
        return self._search_figure("plots:curves_figure")

    def importances(self) -> Figure:
        """Return how much each decision decides whether a trial is among the best; empty below 50 of them."""
        return self._search_figure("plots:importance_figure")

    def means(self) -> Figure:
        """Return the means of an ablation or a confirmation, with their intervals."""
        if self.spec.ablation is None:
            raise UserError(f"{self.spec.name} is no ablation: means() is of variants; ask for pareto()")
        return _drawn("ablation:means_figure", self)

    def draw(self, trial: int | str | None = None) -> Drawing:
        """Return the drawing of a block: that of a trial by its number, of a notation, or the best one's (None)."""
        if isinstance(trial, str):
            return self._drawing(trial)
        if trial is None:
            if not self.spec.searches:
                raise UserError(f"{self.spec.name} is no search and names no block; give a block to draw")
            if self.best is None:
                raise UserError(
                    f"{self.spec.name}: nothing is complete yet; give the number of a trial or a block"
                )
            return self._drawing(self.best.block)
        found = next((record for record in self.searched if record.number == trial), None)
        if found is None:
            numbers = [record.number for record in self.searched]
            known = f"its trials are {min(numbers)} to {max(numbers)}" if numbers else "it has no trials"
            raise UserError(f"{self.spec.name} has no trial {trial}; {known}")
        return self._drawing(found.block)

    def _drawing(self, block: str) -> Drawing:
        own = self.spec.at_reference(block)
        return Drawing(block_svg(own.blocks, own.backbone))

    def _repr_html_(self) -> str:
        text: str = _drawn("notebook:study_html", self)
        return text

    def _search_figure(self, name: str, *given: Any) -> Figure:
        if self.spec.ablation is not None:
            raise UserError(
                f"{self.spec.name} is an ablation: it has no front and no course; ask for means()"
            )
        return _drawn(name, self, *given)


def _drawn(name: str, *given: Any) -> Any:
    return pkgutil.resolve_name(f"skexplore.report.{name}")(*given)
