"""A search that begins with what another one has measured."""

from __future__ import annotations

import pytest
from support.instant import MIDDLE

from skexplore.engine.workload import estimate
from skexplore.errors import UserError
from skexplore.plan.search import Request, plan_search
from skexplore.space.boxes import TooManyError
from skexplore.space.encoder import Encoder
from skexplore.study.store import archive, load_study
from skexplore.study.study import trained

WIDER = MIDDLE.replace("name: middle", "name: wider").replace("[none, k1, k3]", "[none, k1, k3, k3d2]")


@pytest.fixture
def spaces(tmp_path):
    """A space, and the same with one level more, as files."""
    found = {"middle": tmp_path / "middle.yaml", "wider": tmp_path / "wider.yaml"}
    for name, text in (("middle", MIDDLE), ("wider", WIDER)):
        found[name].write_text(text)
    return {name: str(path) for name, path in found.items()}


def test_a_wider_space_begins_with_what_was_measured(run, spaces, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 100.0)
    old = run(study="old", space=spaces["middle"], trials=8)
    request = Request(
        budget_gflops=4.5, profile="tiny", study="new", space=spaces["wider"], trials=14, reuse=("old",)
    )
    planned = estimate([plan_search(request)], 1)
    new = run(study="new", space=spaces["wider"], trials=14, reuse=("old",))
    assert trained(new.records) == 14
    assert (planned.trials, planned.replicates, planned.anchors) == (14 - 7, 2, 0)  # seven blocks are there
    measured = [r.block for r in old.searched if r.status == "complete"]
    begun = new.searched[: len(measured)]
    assert [r.block for r in begun] == measured
    assert {(r.sampler, r.status, r.images) for r in begun} == {("enqueued", "complete", 0)}
    assert all(r.reason.endswith(" of old") and r.replay_of == r.key for r in begun)
    assert {r.key for r in new.records if r.images}.isdisjoint({r.key for r in old.records if r.images})
    assert all(anchor.images == 0 for anchor in new.anchors)
    assert run(study="new", space=spaces["wider"], trials=14, reuse=("old",)).records == new.records


def test_an_archive_serves_as_well_and_replicates_are_taken_over_too(run, spaces, tmp_path):
    run(study="old", space=spaces["middle"], trials=10)
    archive("old", tmp_path / "kept")
    again = run(study="again", space=spaces["middle"], trials=10, reuse=(str(tmp_path / "kept"),))
    assert [r.block for r in again.replicates] == [r.block for r in load_study("old").replicates]
    assert not any(r.images for r in again.records)


def test_what_cannot_serve_is_refused_before_anything_is_written(run, spaces):
    run(study="old", space=spaces["middle"], trials=5)
    with pytest.raises(UserError, match=r"--reuse old: none of its trials .* with --seed 3 \(its own is 0\)"):
        run(study="new", space=spaces["wider"], trials=5, seed=3, reuse=("old",))
    with pytest.raises(UserError, match="another backbone"):
        run(study="new", space=spaces["wider"], trials=5, backbone="16x4d-1111-s2", reuse=("old",))
    with pytest.raises(UserError, match="no study at"):
        run(study="new", space=spaces["wider"], trials=5, reuse=("none",))
    assert load_study("old")
    with pytest.raises(UserError):
        load_study("new")


def test_a_space_too_large_to_look_blocks_up_in_says_that(run, spaces, monkeypatch):
    run(study="old", space=spaces["middle"], trials=5)

    def too_large(*_):
        raise TooManyError

    monkeypatch.setattr(Encoder, "levels", too_large)
    with pytest.raises(UserError, match="space wider: too large to look a block up in it"):
        run(study="new", space=spaces["wider"], trials=5, reuse=("old",))


def test_another_space_for_a_study_says_what_changed_and_how_to_go_on(run, spaces):
    run(study="s", space=spaces["middle"], trials=5)
    with pytest.raises(UserError, match=r"branches.2 now with k3d2\); .* --study s-more --reuse s"):
        run(study="s", space=spaces["wider"], trials=5)


def test_a_plan_takes_over_no_more_than_there_is_room_for(run, spaces, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 100.0)
    run(study="old", space=spaces["middle"], trials=20)
    request = Request(
        budget_gflops=4.5, profile="tiny", study="new", space=spaces["middle"], trials=10, reuse=("old",)
    )
    planned = estimate([plan_search(request)], 1)
    assert (planned.trials, planned.replicates) == (2, 2)


def test_several_studies_are_taken_over_in_their_order(run, spaces):
    run(study="x", space=spaces["middle"], trials=4)
    run(study="y", space=spaces["middle"], trials=8, sampler="nsga2")
    new = run(study="new", space=spaces["wider"], trials=6, reuse=("x", "y"))
    assert [r.block for r in new.searched[:4]] == [r.block for r in load_study("x").eligible()]
