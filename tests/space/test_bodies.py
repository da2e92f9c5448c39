"""Spaces that decide the body: counted, bounded and drawn like others, checked by brute force."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import chisquare
from support.small_spaces import space

from skexplore.arch.bodies import read_network
from skexplore.arch.limits import Sizes, budget_bounds
from skexplore.errors import UserError
from skexplore.space import candidates as module
from skexplore.space.candidates import Candidates
from skexplore.space.decisions import Condition
from skexplore.space.encoder import Encoder, NotInSpaceError
from skexplore.space.size import cheapest, check_budget, idle_budgets, summarise
from skexplore.space.space import Space

BLOCKS = {"branches.1": ("k1", "k3"), "branches.2": ("none", "k3", "k3d2"), "branches.2.groups": (32, 64)}
BODIES = {"depths": ("3-4-6-3", "2-2-2-2"), "width": ("x1", "x0.5")}


def held(chosen: Space):
    """Return every distinct network of a space, from all its points."""
    return {chosen.network(point) for point in chosen.points()}


def sizes(own) -> Sizes:
    total = own.cost()
    return Sizes(total.macs, total.params, total.activations)


bodies = st.fixed_dictionaries(
    {},
    optional={
        "depths": st.lists(
            st.sampled_from(["3-4-6-3", "2-2-2-2", "1-2-3-1"]), min_size=1, max_size=2, unique=True
        ).map(tuple),
        "width": st.lists(st.sampled_from(["x1", "x0.5", "x2"]), min_size=1, max_size=3, unique=True).map(
            tuple
        ),
        "backbone": st.sampled_from([("sknet50", "sknet26"), ("sknet26",)]),
    },
)


@settings(max_examples=25, deadline=None)
@given(bodies, st.floats(0.3, 5))
def test_a_space_of_bodies_is_exact(decided, gflops):
    chosen = space(decided | BLOCKS)
    networks = held(chosen)
    bounds = budget_bounds(gflops, None)
    kept = {own for own in networks if own.cost().macs <= gflops * 1e9}
    found = summarise(chosen, bounds)
    assert (found.exact, found.size, found.feasible) == (True, len(networks), len(kept))
    costs = [sizes(own) for own in networks]
    for name in Sizes._fields:
        values = [getattr(own, name) for own in costs]
        assert (getattr(found, f"{name}_min"), getattr(found, f"{name}_max")) == (min(values), max(values))
    assert sizes(cheapest(chosen)).macs == min(own.macs for own in costs)
    candidates = Candidates(chosen, bounds)
    assert {candidates.network(forms) for forms in candidates.within} == kept
    encoder = Encoder(chosen)
    for forms in candidates.within[:5]:
        own = candidates.network(forms)
        assert candidates.forms_of(own) == forms
        assert candidates.sizes(forms) == sizes(own)
        assert chosen.network(encoder.levels(own)) == own
    for path, levels in found.ruled_out.items():
        points = [point for point in chosen.points() if chosen.network(point) in kept]
        assert not {point[path] for point in points} & {*levels}


def test_a_level_of_the_body_with_which_nothing_fits_is_ruled_out():
    assert summarise(space(BODIES | BLOCKS), budget_bounds(1.0, None)).ruled_out == {
        "depths": ["3-4-6-3"],
        "width": ["x1"],
    }


def test_bodies_alone_may_be_decided():
    assert summarise(space(BODIES), budget_bounds(1.2, None)).ruled_out == {"width": ["x1"]}


@pytest.mark.parametrize("written_out", [True, False])
def test_every_network_is_drawn_equally_often(monkeypatch, written_out):
    monkeypatch.setattr(module, "WRITTEN_OUT", module.WRITTEN_OUT if written_out else 0)
    chosen = space(BODIES | BLOCKS)
    candidates, generator, networks = Candidates(chosen), random.Random(0), held(chosen)
    counts = Counter(chosen.network(candidates.draw(generator)) for _ in range(100 * len(networks)))
    assert set(counts) == networks
    assert chisquare([*counts.values()]).pvalue > 0.001
    tried = set()
    while (forms := candidates.untried(tried, generator)) is not None:
        tried.add(forms)
    assert {candidates.network(forms) for forms in tried} == networks


def test_a_body_that_two_decisions_make_counts_once():
    twice = space({"backbone": ("sknet50", "sknet26"), "depths": ("2-2-2-2", "3-4-6-3")} | BLOCKS)
    assert [own.reference.name for _, own in twice.plain()] == ["sknet50:2-2-2-2", "sknet50"]
    alone = space({"depths": ("2-2-2-2", "3-4-6-3")} | BLOCKS)
    assert summarise(twice).size == summarise(alone).size


def test_conditions_may_ask_for_a_body():
    # narrow networks have one branch
    narrow = Condition(when={"width": ("x0.5",)}, then={"branches.2": "none"})
    chosen = Space(**{**_fields(space(BODIES | BLOCKS)), "conditions": (narrow,)})
    networks = held(chosen)
    assert all(len(own.blocks[0].branches) == 1 for own in networks if own.backbone.name.endswith("x0.5"))
    assert summarise(chosen).size == len(networks)
    assert {Candidates(chosen).network(forms) for forms in Candidates(chosen).within} == networks


def _fields(of: Space) -> dict:
    return {name: getattr(of, name) for name in ("name", "description", "base", "decisions")}


def test_what_is_not_in_it():
    chosen = space(BODIES | BLOCKS)
    for text, said in (
        ("k3 in sknet101", "its bodies are sknet50, sknet50:x0.5, sknet50:2-2-2-2, sknet50:2-2-2-2:x0.5"),
        ("k5 in sknet50:x0.5", "is not in the space"),
    ):
        with pytest.raises(NotInSpaceError, match=said):
            Encoder(chosen).levels(read_network(text, chosen.reference))


def test_budgets_name_the_network_that_they_are_compared_with():
    chosen = space(BODIES | BLOCKS)
    with pytest.raises(
        UserError, match=r"the cheapest block of test, k1 in sknet50:2-2-2-2:x0\.5, needs 622.002 MFLOPs"
    ):
        check_budget(chosen, 0.1, None)
    (said,) = idle_budgets(chosen, 9.0, None)
    assert "the costliest block of test, k3+k3d2, has 4.463 GFLOPs" in said


FILE = "name: x\nbase: k3\ndecisions:\n  branches.1: [k3, k5]\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("  width: [x0.3]\n", "decisions.width: sknet50:x0.3: .*no whole number"),
        ("  width: [0.5]\n", "decisions.width: level 0.5: must be such as x0.5"),
        ("  width: x0.5\n", "decisions.width: .*must be a list"),
        ("  width: []\n", "decisions.width: no levels"),
        ("  depths: [2-2]\n", "decisions.depths: sknet50:2-2: .*its own 3-4-6-3"),
        ("  backbone: [sknet50, resnet50]\n", "decisions.backbone: resnet50: units of another kind"),
        ("  backbone: [sknet5]\n", "decisions.backbone: level 'sknet5': must be one of sknet26, sknet50, "),
        ("  backbone: [sknet50, sknet50:x0.5]\n", "decisions.backbone: level 'sknet50:x0.5': must be one of"),
        (
            "  depths: [2222]\n",
            "decisions.depths: level 2222: must be the units of each stage, such as 2-2-2-2",
        ),
        (
            "  width: [x1]\n  branches.2: [none, k3g=8]\n",
            "decisions.branches.2: 'k3g=8': g= and L= mean one network",
        ),
        ("  backbone: [[a], sknet50]\n", "decisions.backbone: level .*: must be one of"),
        ("  width: [x1, x0.5]\nreference: sknet50:x0.5\n", "reference: sknet50:x0.5: varied already"),
        (
            "  width: ["
            + ", ".join(f"x{n}" for n in range(1, 9))
            + "]\n  depths: ["
            + ", ".join(f"{n}-2-2-2" for n in range(1, 10))
            + "]\n",
            "decisions.depths.width: 72 bodies; at most 64",
        ),
        ("  width: [x1, x1]\n", "decisions.width: a level is given twice"),
        (
            "  width: [x1, x0.5]\nconditions:\n  - {when: {branches.1: k3}, then: {width: x1}}\n",
            "conditions.1.then.width: a condition cannot change the body",
        ),
        ("  stages.1.width: [x1]\n", "decisions.stages.1.width: unknown decision"),
    ],
)
def test_bodies_that_cannot_be(tmp_path, more, said):
    path = tmp_path / "given.yaml"
    path.write_text(FILE + more)
    with pytest.raises(UserError, match=said):
        Space.load(path)


def test_an_absolute_floor_of_the_base_is_refused(tmp_path):
    path = tmp_path / "given.yaml"
    path.write_text("name: x\nbase: k3+k3d2/L=16\ndecisions:\n  width: [x1, x0.5]\n")
    with pytest.raises(UserError, match=r"base: 'k3\+k3d2/L=16': g= and L= mean one network"):
        Space.load(path)


def test_the_reference_under_another_name_is_the_reference():
    chosen = space({"backbone": ("resnext50", "sknet50")} | BLOCKS)
    assert [own.reference.name for _, own in chosen.plain()] == ["sknet50"]


def test_a_proxy_in_which_two_bodies_are_one_network_is_refused():
    chosen = space({"depths": ("3-4-6-3", "3-4-5-3", "2-2-2-2")} | BLOCKS)
    assert chosen.in_which_depths_show("4x4d-1111-c32") == "4x4d-2342-c32"
    with pytest.raises(
        UserError, match=r"sknet50 and sknet50:3-4-5-3 are one network in the proxy 4x4d-1221-c32"
    ):
        chosen.check_trained_in("4x4d-1221-c32")
    chosen.check_trained_in("4x4d-1263-c32")


def test_shallower_bodies_show_where_all_stages_are_alike(tmp_path):
    path = tmp_path / "given.yaml"
    path.write_text("name: x\nreference: skresnet18\nbase: k3\ndecisions:\n  depths: [2-2-2-2, 1-1-1-1]\n")
    assert Space.load(path).in_which_depths_show("1x12d-1111-c32-basic-split") == "1x12d-2222-c32-basic-split"


def test_what_decides_the_body_is_no_block_alone():
    chosen = space(BODIES | BLOCKS)
    with pytest.raises(UserError, match=r"ask for network\(levels\)"):
        chosen.decode(chosen.sample(random.Random(0)))


def test_widths_alone_need_no_deeper_proxy():
    assert space({"width": ("x1", "x0.5")} | BLOCKS).in_which_depths_show("4x4d-1111-c32") == "4x4d-1111-c32"


def test_groups_that_a_narrower_body_cannot_have_are_named(tmp_path):
    path = tmp_path / "given.yaml"
    path.write_text("name: x\nbase: k3\ndecisions:\n  branches.1: [k3, k3g128]\n  width: [x1, x0.5]\n")
    with pytest.raises(UserError, match=r"level k3g128: .*sknet50:x0\.5"):
        Space.load(path)
