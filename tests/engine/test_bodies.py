"""A search that decides the body: every network in the proxy of its own, costs and budgets in its own body."""

from __future__ import annotations

import pytest
from support.instant import InstantPool

from skexplore.arch.bodies import read_network
from skexplore.engine import coordinator
from skexplore.engine.run import confirm, train
from skexplore.errors import UserError
from skexplore.export.folder import export_block
from skexplore.export.verification import verify
from skexplore.plan import confirmation
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.confirmation import ConfirmRequest, plan_confirmation
from skexplore.report.search import write_report
from skexplore.shipped import shipped
from skexplore.study.hints import search_command
from skexplore.study.recipe import get_profile
from skexplore.study.samplers import SAMPLERS
from skexplore.study.store import archive, load_study

SPACE = (
    "name: bodies\nbase: k3\ndecisions:\n  depths: [3-4-6-3, 2-2-2-2]\n  width: [x1, x0.5]\n"
    "  branches.1: [k3, k3d2]\n  branches.2: [none, k3]\n"
)
PROXIES = {
    "": "",  # that of the study, 8x4d-1221-s2
    "sknet50:x0.5": "8x2d-1221-c8-s2",
    "sknet50:2-2-2-2": "8x4d-1111-s2",
    "sknet50:2-2-2-2:x0.5": "8x2d-1111-c8-s2",
}


def answer(job) -> float:
    """A known objective: the more multiply-adds of what is trained, the less error."""
    assert job.spec.architecture.id == job.spec.net_id  # what is trained is what the record says
    return 0.9 - job.spec.architecture.cost().macs / 1e9


@pytest.fixture
def bodies(run, tmp_path):
    path = tmp_path / "bodies.yaml"
    path.write_text(SPACE)

    def go(**given):
        return run(answer, **({"space": str(path), "trials": 60, "budget_gflops": 5.0} | given))

    return go


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_network_is_trained_in_the_proxy_of_its_body(bodies, sampler):
    study = bodies(sampler=sampler)
    assert study.state == "exhausted"
    assert study.spec.backbone == "8x4d-1221-s2"
    trained = {r.block: r for r in study.searched if r.images or r.status == "replay"}
    assert len(trained) == 4 * 4  # k3, k3d2, k3+k3 and k3+k3d2 in each body
    for text, record in trained.items():
        own = read_network(text, study.spec.reference_body)
        total = own.cost()
        assert (record.ref_macs, record.ref_params) == (total.macs, total.params)
        assert record.arch_id == own.id
        body = text.partition(" in ")[2]
        assert record.setting.backbone == PROXIES[body]
        assert record.proxy_macs == study.spec.proxy(own, record.setting.backbone).cost().macs
        if record.images:
            assert record.net_id == study.spec.proxy(own, record.setting.backbone).id


def test_budgets_hold_in_the_body(bodies):
    study = bodies(budget_gflops=1.3)
    over = {r.block for r in study.searched if r.status == "over_budget"}
    assert all(r.ref_macs <= 1.3e9 for r in study.searched if r.images)
    assert all(read_network(text, study.spec.reference_body).cost().macs > 1.3e9 for text in over)
    assert study.best.block.endswith("in sknet50:x0.5")
    assert {r.block for r in study.eligible()} <= {*study.estimates}


def test_the_model_knows_how_deep_and_how_wide(bodies):
    study = bodies(sampler="model")
    assert {"log2 units", "log2 width"} <= {*study.model.population.scale.names}
    assert study.modelled


def test_it_goes_on_and_is_taken_over_by_another(bodies):
    first = bodies(trials=4)
    assert len(bodies(trials=8).searched) > len(first.searched)
    again = bodies(study="again", reuse=("s",), trials=12)
    taken = [r for r in again.searched if r.reason.startswith("measured as") or r.replay_of]
    assert {r.block for r in load_study("s").searched if r.images} <= {r.block for r in again.searched}
    assert taken


def test_report_archive_and_confirmation(bodies, monkeypatch, tmp_path, synthetic_data):
    study = bodies(budget_gflops=1.3)
    write_report(study, tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text()
    assert f"`{study.best.block}`" in text
    assert "or one that is as much deeper and wider as a trial's body is" in text
    archive("s", tmp_path / "kept")
    assert [r.block for r in load_study(str(tmp_path / "kept")).records] == [r.block for r in study.records]
    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, answer))
    confirmed = confirm(study="s", seeds=1, top=2, workers=1, data_folder=synthetic_data)
    finalists = [v for v in confirmed.spec.ablation.variants if v.role == "finalist"]
    assert finalists[0].block == study.best.block
    assert finalists[0].setting.backbone == PROXIES["sknet50:x0.5"]
    assert {r.block for r in confirmed.records} >= {v.block for v in finalists}


def test_a_block_of_ones_own_in_a_body(bodies, monkeypatch, synthetic_data):
    bodies(trials=2)
    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, answer))
    given = {"workers": 1, "data_folder": synthetic_data}
    study = train(blocks="k3+k5 in sknet50:x0.5", study="s", **given)
    own = next(r for r in study.records if r.block == "k3+k5 in sknet50:x0.5")
    assert own.setting.backbone == PROXIES["sknet50:x0.5"]
    with pytest.raises(
        UserError, match=r"sknet101 is none of the bodies of study s \(sknet50, sknet50:x0\.5"
    ):
        train(blocks="k3 in sknet101", study="s", **given)
    with pytest.raises(UserError, match=r"sknet26 is none of the bodies of study .*--reference sknet26"):
        train(blocks="k3 in sknet26", profile="tiny", **given)


def test_a_space_of_bodies_is_shown_in_every_proxy_that_can_vary(bodies, command, tmp_path):
    file = str(tmp_path / "bodies.yaml")
    code, out, err = command("space", "show", file, "--budget-gflops", "1.3")
    assert code == 0, err
    assert "16 distinct architectures" in out
    assert "or in the body of each of 4" in out
    code, _, err = command("bench", "search", "--space", file)
    assert (code, "decides the network around its blocks" in err) == (2, True)


def test_a_confirmation_that_could_not_tell_bodies_apart_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        confirmation, "profile_of", lambda name, *_, reference: get_profile(name).at(reference)
    )
    path = tmp_path / "near.yaml"
    path.write_text(
        "name: near\nbase: k3\ndecisions:\n  depths: [3-4-6-3, 3-4-5-3]\n  branches.2: [none, k3d2]\n"
    )
    run(answer, space=str(path), trials=4, budget_gflops=5.0, backbone="8x4d-1263-s2")
    plan = plan_confirmation(ConfirmRequest(study="s", profile="quick"))
    assert plan.spec.backbone == "4x4d-2342-c32"
    assert len({network for network, _ in plan.networks}) == len(plan.spec.ablation.variants)
    with pytest.raises(UserError, match=r"--profile paper: .*sknet29: has one depth.*or leave --profile out"):
        plan_confirmation(ConfirmRequest(study="s", profile="paper"))


def test_a_confirmation_in_light_networks_takes_the_floor_from_each_body(
    run, tmp_path, monkeypatch, synthetic_data
):
    path = tmp_path / "light.yaml"
    path.write_text(
        "name: light\nreference: skresnet18\nbase: k3\ndecisions:\n  width: [x1, x0.5]\n  branches.2: [none, k3d2]\n"
        "  min_dim: [8, 32]\n"
    )
    run(answer, space=str(path), trials=12, budget_gflops=5.0, backbone=None)
    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, answer))
    confirmed = confirm(study="s", seeds=1, top=12, workers=1, data_folder=synthetic_data)
    assert any("x0.5" in record.block for record in confirmed.records)


@pytest.mark.parametrize("name", sorted(shipped("studies")))
def test_variants_of_another_reference_keep_their_text(name):
    plan = plan_ablation(AblationRequest(source=name))
    assert not plan.spec.decides_body
    for variant in plan.spec.ablation.variants:
        assert plan.spec.text_of(variant.architecture) == variant.block


def test_an_ablation_around_the_best_is_of_its_body(bodies, tmp_path):
    bodies(budget_gflops=1.3)
    path = tmp_path / "around.yaml"
    path.write_text("name: around\nbaseline: best:s\none_at_a_time:\n  reduction: [8, 16]\n")
    with pytest.raises(UserError, match=r"it is written for sknet50:x0\.5, .*--reference sknet50:x0\.5"):
        plan_ablation(AblationRequest(source=str(path)))
    plan = plan_ablation(AblationRequest(source=str(path), reference="sknet50:x0.5"))
    assert plan.spec.ablation.variants[0].architecture.backbone.name == "sknet50:x0.5"


def test_a_space_of_bodies_needs_a_proxy_that_can_vary(bodies):
    with pytest.raises(UserError, match="sknet29: has one depth and width"):
        bodies(backbone="sknet29", study="other")
    with pytest.raises(UserError, match="they must be whole"):
        bodies(backbone="8x1d-1111-s2", study="other")


def test_the_found_network_is_exported_and_verified(bodies, tmp_path):
    study = bodies(budget_gflops=1.3)
    out = tmp_path / "out"
    export_block(study, study.best, tmp_path / "none", out, scale="reference")
    assert all(check.ok for check in verify(out))
    card = (out / "README.md").read_text()
    assert "The **reference** is sknet50:x0.5 (224 x 224 pixels" in card
    assert PROXIES["sknet50:x0.5"] in card


def test_its_command_is_the_one_that_was_typed(bodies):
    said = search_command(bodies(trials=2))
    assert "--backbone" not in said
    assert "--budget-gflops 5.0" in said
