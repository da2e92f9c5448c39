"""Which search a confirmation belongs to, and what it claims of finalists in their order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skexplore.analysis.confirmation import _in_sequence, _shrunk, confirms
from skexplore.analysis.dunnett import Difference, Layout, summarise
from skexplore.study.design import PAPER, Design, Variant
from skexplore.study.store import load_study

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def pair():
    return load_study(str(STUDIES / "first-search-confirm")), load_study(str(STUDIES / "first-search"))


def changed(study, **finalist):
    """Return the confirmation with its first finalist changed."""
    design = study.spec.ablation
    number = next(at for at, each in enumerate(design.variants) if each.role == "finalist")
    variants = list(design.variants)
    variants[number] = replace(variants[number], **finalist)
    return replace(study, spec=replace(study.spec, ablation=replace(design, variants=tuple(variants))))


def test_the_committed_confirmation_is_of_its_search(pair):
    study, search = pair
    assert confirms(study, search)
    assert not confirms(search, search)
    assert not confirms(study, load_study(str(STUDIES / "first-random")))


def test_finalists_with_other_errors_or_blocks_are_not_of_this_search(pair):
    study, search = pair
    assert not confirms(changed(study, searched_error=0.123), search)
    assert not confirms(changed(study, block="k5", name="k5"), search)


def test_the_paper_s_blocks_may_have_the_errors_of_anchors(pair):
    study, search = pair
    assert confirms(changed(study, name="k3", searched_error=0.123), search)


def gap(name, difference, distinguishable):
    return Difference(
        name=name,
        difference=difference,
        low=difference - 0.01,
        high=difference + 0.01,
        p=0.01 if distinguishable else 0.5,
        distinguishable=distinguishable,
        n_needed=None if distinguishable else 9,
    )


def said_of(*gaps):
    """Return what is said of finalists a, b, c against the paper's block."""
    variants = [Variant(name=each.name, block=each.name, role="finalist") for each in gaps]
    random = Variant(name="r", block="k5", role="random")
    design = Design(description="", kinds=("confirm",), baseline=PAPER, variants=(*variants, random), seeds=3)
    found = {each.name: each for each in (*gaps, gap("r", -0.05, True))}
    same = dict.fromkeys(found, "")
    summary = summarise(
        Layout(names=("a", "b"), seeds=(0, 1, 2), errors=((0.3,) * 3, (0.31,) * 3), baseline="a")
    )
    return _in_sequence(design, summary, found, same, "the paper's block")


def test_finalists_are_tested_in_their_order_until_one_is_not_distinguishable():
    said = said_of(gap("a", -0.02, True), gap("b", 0.001, False), gap("c", -0.03, True))
    assert [*said] == ["a", "b", "c"]  # what was drawn at random claims nothing
    assert said["a"] == "2.00 points lower than the paper's block (95 % 1.00 to 3.00)"
    assert said["b"].startswith("not distinguishable")
    assert said["c"] == "3.00 points lower than the paper's block, not tested: b comes before it"
    assert "not tested" not in "".join(said_of(gap("a", -0.02, True), gap("c", -0.03, True)).values())


@pytest.mark.slow
def test_of_equal_finalists_one_sequence_in_twenty_claims_anything():
    """Synthetic: three finalists, the paper's block and two more, all of one true error, three seeds."""
    generator, claims, repeats = np.random.default_rng(0), 0, 1500
    for _ in range(repeats):
        errors = 0.3 + 0.004 * generator.standard_normal((6, 3)) + 0.003 * generator.standard_normal(3)
        layout = Layout(
            names=("p", "a", "b", "c", "k", "r"),
            seeds=(0, 1, 2),
            errors=tuple(map(tuple, errors.tolist())),
            baseline="p",
        )
        found = {each.name: each for each in summarise(layout, together=False).differences}
        claims += bool(found["a"].distinguishable)  # the first of the order: without it none is tested
    assert claims / repeats == pytest.approx(0.05, abs=0.015)


@pytest.mark.slow
def test_intervals_of_shrinkage_cover_the_truth_in_19_of_20():
    """Synthetic: a lead that the search knew with a spread of its own, and three fresh seeds of six blocks now."""
    generator, held, repeats = np.random.default_rng(1), 0, 2000
    then, df, seeds = 0.003, 10, 3
    finalist = Variant(name="a", block="a", role="finalist", believed=0.3, believed_sd=then)
    paper = replace(finalist, name="p", believed_sd=0.002)
    for _ in range(repeats):
        residual = 0.004 * np.sqrt(generator.chisquare(df) / df)
        now = 0.004 * np.sqrt(2 / seeds) * generator.standard_normal()
        shrinkage = 0.01 + np.hypot(then, 0.002) * generator.standard_normal() - now
        layout = Layout(names=("a", "p"), seeds=(0, 1), errors=((0.3, 0.31), (0.3, 0.32)), baseline="p")
        test = replace(summarise(layout), n=seeds, df=df, residual_sd=float(residual))
        found = _shrunk(finalist, paper, shrinkage, test)
        held += found["shrinkage_low"] <= 0.01 <= found["shrinkage_high"]
    assert held / repeats == pytest.approx(0.95, abs=0.012)
    assert _shrunk(replace(finalist, believed_sd=None), paper, 0.01, test) == {}
