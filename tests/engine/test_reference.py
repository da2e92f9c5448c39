"""Searches of blocks for another network than SKNet-50: budgeted there, trained in a proxy of its kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skexplore.analysis.checklist_search import checklist
from skexplore.analysis.levels import _looked_at
from skexplore.analysis.tables import anchors_table, placement_table
from skexplore.arch.architecture import Architecture
from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import arch_id
from skexplore.arch.limits import budget_bounds
from skexplore.arch.notation import parse_blocks
from skexplore.arch.proxies import proxy_name, stand_in
from skexplore.arch.reference import get_reference
from skexplore.errors import UserError
from skexplore.nn.flop_count import count
from skexplore.nn.network import build
from skexplore.paper.tables import anchor_names, place
from skexplore.report.search import write_report
from skexplore.space.candidates import Candidates
from skexplore.space.space import Space
from skexplore.study.comparable import compare_specs
from skexplore.study.hints import search_command
from skexplore.study.recipe import PROFILES
from skexplore.study.store import archive, load_study
from skexplore.surrogate.model import Population

# reference, budget in GFLOPs, space that is meant for it, the paper's block there, table of placement
CASES = [
    ("shufflenetv2-1.0x", 0.148, "sk-light", "k3+k3d2/r4/L1", 4),
    ("mobilenetv2", 0.34, "sk-light", "k3+k3d2/r4/L1", 4),
    ("skresnet18", 1.9, "sk-resnet", "k3+k3d2", 7),
    ("resnet50@160x128", 3.0, "sk-resnet", "k3+k3d2", 7),
    ("sknet26@160", 2.0, "sk-paper", "k3+k3d2", 7),
]


@pytest.mark.parametrize(("name", "budget", "space", "paper", "table"), CASES)
def test_a_search_of_any_reference(run, name, budget, space, paper, table):
    study = run(reference=name, budget_gflops=budget, space=None, trials=6, sampler="model")
    reference = get_reference(name)
    assert (study.spec.space, study.spec.reference) == (space, name)
    proxy = stand_in(get_backbone(proxy_name(reference, get_backbone("8x4d-1111-s2"))), reference)
    assert replace(study.spec.body, classes=proxy.classes) == proxy
    assert sorted({record.block for record in study.anchors}) == sorted({"k3", paper})
    for record in study.records:
        there = Architecture(blocks=parse_blocks(record.block), backbone=reference)
        here = replace(there, backbone=study.spec.body)
        assert (record.arch_id, record.net_id) == (there.id, here.id)
        assert (record.ref_macs, record.ref_params) == (there.cost().macs, there.cost().params)
        assert (record.proxy_macs, record.proxy_params) == (here.cost().macs, here.cost().params)
        if record.origin == "search":
            assert (record.status == "over_budget") == (record.ref_macs > budget * 1e9)
    assert set(placement_table(study)["table"]) == ({4} if table == 4 else {3, 6, 7})
    assert study.answer is None or {each.block for each in study.answer.anchors} >= {paper}
    # the proxy that is trained counts what the record says, by fvcore too
    record = study.searched[-1]
    counted = count(build(record.block, study.spec.body), 32)
    assert (counted.macs, counted.params) == (record.proxy_macs, record.proxy_params)


def test_a_light_search_is_read_and_reported_as_one(run, tmp_path):
    study = run(reference="shufflenetv2-1.0x", budget_gflops=0.148, space=None, trials=6)
    assert list(anchors_table(study)["name"]) == ["ShuffleNetV2 1.0x (our impl.)", "ShuffleNetV2 1.0x + SK"]
    assert study.spec.budget_words == "budget 148 MFLOPs"
    write_report(study, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    for words in ("MFLOPs = 10^6", "shufflenetv2-1.0x at 224x224", "nearest in Table 4", "148 MFLOPs"):
        assert words in text
    assert "GFLOPs" not in text
    assert "SKNet-50" not in text
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Placement on Table 4" in page
    assert "--reference shufflenetv2-1.0x" in search_command(study)
    assert any("k3+k3d2/r4/L1" in item.evidence for item in checklist(study, ()))
    archive("s", tmp_path / "archive")
    assert load_study(str(tmp_path / "archive")).spec == study.spec


def test_studies_of_different_references_are_kept_apart(run):
    light = run(reference="shufflenetv2-1.0x", budget_gflops=0.148, space="sk-light", trials=3, study="a")
    wide = run(reference="shufflenetv2-1.0x@160", budget_gflops=0.148, space="sk-light", trials=3, study="b")
    # one proxy, so that what one has measured serves the other, and yet they are not drawn over each other
    assert light.spec.body == wide.spec.body
    assert "references differ" in " ".join(compare_specs(light, wide).refusals)
    with pytest.raises(UserError, match="another reference"):
        run(reference="shufflenetv2-1.0x@160", budget_gflops=0.148, space="sk-light", trials=4, study="a")


def test_levels_are_told_apart_as_the_reference_has_them():
    candidates = Candidates(Space.load("sk-light"), budget_bounds(0.15, None))
    _, traits = _looked_at(Population(candidates), bodies=False)
    assert {own["groups"] for own in traits} == {None}
    assert {"3", "3relu"} <= {own["kernels"] for own in traits}


def test_placement_counts_rows_for_images_of_the_same_size():
    (three, six, seven) = place("k3+k3d2", "sknet50@160")
    assert "K3+K5 SK" in seven.nearest
    assert (seven.params_diff_pct, seven.macs_diff_pct, seven.matched) == (0.0, 0.0, True)
    assert "SKNet-50" in three.nearest
    assert six.matched
    assert (
        anchor_names(get_reference("sknet50@160"))[arch_id("k3+k3d2", get_reference("sknet50@160"))]
        == "K3+K5 SK"
    )


def test_what_a_reference_cannot_have_is_refused(run):
    with pytest.raises(UserError, match=r"--anchors table7: .*: 3 branches .*; take --anchors two or none"):
        run(reference="skresnet18", space=None, anchors="table7", trials=3)
    with pytest.raises(UserError, match="its 3 stages do not stand for the 4 of the reference resnet18"):
        run(reference="resnet18", space=None, backbone="1x24d-111-basic", trials=3)
    with pytest.raises(UserError, match="3 branches cannot share the 64 channels in skresnet18"):
        run(reference="skresnet18", space="sk-paper", trials=3)
    with pytest.raises(UserError, match="8x4d-1111: does not stand for the reference skresnet18"):
        run(reference="skresnet18", space=None, backbone="8x4d-1111", trials=3)
    with pytest.raises(UserError, match="reference sknet29: of cardinality 16"):
        run(reference="sknet29", space=None, trials=3)
    with pytest.raises(UserError, match="stands for networks with groups alone"):
        PROFILES["paper"].at(get_reference("resnet50"))
