"""Ablations and confirmations from Python: the same as their commands, on instant trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.instant import InstantPool

from skexplore import ablate, compare, confirm
from skexplore.engine import coordinator
from skexplore.errors import UserError

FILE = "name: own\nbaseline: k3\none_at_a_time: {branches.2: [k1, k3d2]}\nseeds: 2\n"


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data):
    """Instant trainings, and what ``Run`` needs for them."""
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    return {"workers": 1, "data_folder": synthetic_data}


def test_ablate_trains_every_variant_with_every_seed_and_goes_on(instant):
    Path("own.yaml").write_text(FILE)
    study = ablate("own.yaml", profile="tiny", **instant)
    assert [v.block for v in study.spec.ablation.variants] == ["k3", "k1+k3", "k3+k3d2"]
    assert [(r.block, r.seed, r.status) for r in study.records] == [
        (block, seed, "complete") for seed in (0, 1) for block in ("k3", "k1+k3", "k3+k3d2")
    ]
    more = ablate(source="own.yaml", profile="tiny", seeds=3, **instant)
    assert len(more.records) == 9
    assert more.records[:6] == study.records
    with pytest.raises(UserError, match="not found"):
        ablate("none.yaml", **instant)


def test_confirm_trains_the_finalists_of_a_search(run, instant):
    searched = run()
    study = confirm("s", top=1, seeds=2, **instant)
    assert (study.spec.name, study.spec.ablation.of, study.spec.ablation.test) == ("s-confirm", "s", True)
    finalists = [v.block for v in study.spec.ablation.variants if v.role == "finalist"]
    assert finalists == [searched.best.block]
    assert {r.status for r in study.records} == {"complete"}
    assert min(r.seed for r in study.records) > max(r.seed for r in searched.records)
    with pytest.raises(UserError, match="--top 0"):
        confirm("s", top=0, **instant)


def test_compare_takes_what_the_searches_returned(run):
    one, other = run(study="one", seed=0), run(study="other", seed=1, sampler="random")
    found = compare([one, other])
    assert [[s.spec.name for s in group.studies] for group in found.groups] == [["one"], ["other"]]
    with pytest.raises(UserError):
        compare([one])
