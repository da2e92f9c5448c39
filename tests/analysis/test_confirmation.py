"""Which search a confirmation belongs to: the committed pair, and changes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skexplore.analysis.confirmation import confirms
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
