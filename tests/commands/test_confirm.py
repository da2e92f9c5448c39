"""Confirmations: which blocks, frozen, with fresh seeds, and the test set read once for each training."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from support.instant import InstantPool, error_of, pressed_after

from skexplore.analysis.confirmation import confirmation_table, finalists_words
from skexplore.arch.costs import arch_id, cost
from skexplore.engine import coordinator
from skexplore.engine.options import Run
from skexplore.engine.run import run_plan, search
from skexplore.errors import UserError
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.confirmation import ConfirmRequest, plan_confirmation
from skexplore.report.search import write_report
from skexplore.study.images import unpack
from skexplore.study.record import Epoch
from skexplore.study.store import archive, load_study
from skexplore.study.study import cells
from skexplore.training.messages import Outcome


def truth(job) -> Outcome:
    """Lower for more multiply-adds, a seed effect, and a test error one point above validation."""
    error = error_of(job) + 0.01 * (job.spec.seed % 3)
    curve = tuple(
        Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_error=error, seconds=1.0)
        for n in range(1, job.until + 1)
    )
    return Outcome(
        key=job.spec.key, status="complete", curve=curve, test_error=error + 0.01 if job.test else None
    )


@pytest.fixture
def searched(run):
    """A finished search of instant trainings, called s."""
    return run()


@pytest.fixture
def confirm(monkeypatch, searched, synthetic_data):
    def go(study="s", interrupts=lambda: 0, **changes):
        def pool(devices, log):
            go.pool = InstantPool(devices, log, truth)
            return go.pool

        monkeypatch.setattr(coordinator, "Pool", pool)
        monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
        plan = plan_confirmation(ConfirmRequest(study=study, **changes))
        return run_plan(plan, Run(workers=1, data_folder=synthetic_data, interrupts=interrupts))

    return go


def roles(study):
    return [(variant.block, variant.role) for variant in study.spec.ablation.variants]


def test_finalists_anchors_and_random_blocks_within_the_budget(confirm, searched):
    study = confirm(top=2)
    best = [record.block for record in sorted(searched.eligible(), key=searched.estimated)][:2]
    assert [block for block, role in roles(study) if role == "finalist"] == best
    assert best[0] == searched.best.block
    assert [block for block, role in roles(study) if role == "anchor"] == ["k3+k3d2", "k3"]
    drawn = [block for block, role in roles(study) if role == "random"]
    assert len({arch_id(block) for block, _ in roles(study)}) == 6
    assert len(drawn) == 2
    assert all(cost(block).macs <= 4.5e9 for block in drawn)
    assert (
        plan_confirmation(ConfirmRequest(study="s", top=2, name="again")).spec.ablation.variants[-2:]
        == (study.spec.ablation.variants[-2:])
    ), "the same search draws the same blocks"


def test_fresh_seeds_longer_and_twice_adds_nothing(confirm, searched):
    study = confirm()
    assert {record.seed for record in study.records}.isdisjoint({record.seed for record in searched.records})
    assert study.spec.recipe == replace(searched.spec.recipe, epochs=2 * searched.spec.recipe.epochs)
    assert (study.spec.split, study.spec.backbone) == (searched.spec.split, searched.spec.backbone)
    assert confirm().records == study.records
    more = confirm(seeds=4)
    assert more.records[: len(study.records)] == study.records
    variants = len(study.spec.ablation.variants)
    assert len(more.records) == 4 * variants
    assert len(confirm.pool.jobs) == variants, "only the fourth seed was trained"
    with pytest.raises(UserError, match="--seeds 3: study s-confirm has test errors under 4 already"):
        confirm(seeds=3)


def test_the_test_error_is_kept_with_its_training(confirm):
    study = confirm()
    assert all(job.test for job in confirm.pool.jobs)
    assert all(record.test_error == pytest.approx(record.val_error + 0.01) for record in study.records)
    archive(study.spec.name)
    (Path("studies") / study.spec.name / "study.db").unlink()
    assert load_study(study.spec.name).records == study.records


def test_finalists_are_frozen_by_the_first_call(confirm, run):
    confirm(top=1)
    with pytest.raises(UserError, match=r"the finalists are now .* give --study NAME"):
        confirm(top=2)
    assert confirm(top=2, name="wider").spec.name == "wider"


def test_a_confirmation_is_not_written_over(confirm, command):
    study = confirm()
    recipe = f"recipe: {{epochs: {study.spec.recipe.epochs}}}"
    Path("a.yaml").write_text(
        f"name: a\nprofile: tiny\n{recipe}\nbaseline: K3\nrows: [{{name: K3, block: k3}}, {{name: K5, block: k3d2}}]\n"
    )
    seed = str(study.spec.seed)
    code, _, err = command("ablate", "a.yaml", "--seed", seed, "--study", study.spec.name)
    assert (code, f"study {study.spec.name} exists and confirms s" in err) == (2, True), err
    code, _, err = command("train", "k5", "--study", study.spec.name)
    assert (code, "its design says what is trained there" in err) == (2, True), err
    assert load_study(study.spec.name).spec.ablation == study.spec.ablation


def test_an_ablation_that_takes_over_from_a_confirmation_leaves_its_test_errors(confirm):
    study = confirm()
    Path("a.yaml").write_text(
        f"name: a\nprofile: tiny\nrecipe: {{epochs: {study.spec.recipe.epochs}}}\nbaseline: K3\n"
        "rows: [{name: K3, block: k3}, {name: K5, block: k3d2}]\n"
    )
    plan = plan_ablation(AblationRequest(source="a.yaml", seed=study.spec.seed, reuse=(study.spec.name,)))
    assert plan.known
    assert all(record.test_error is None for record in plan.known.values())


def test_one_seed_says_against_what_it_was_higher_or_lower(confirm):
    study = confirm(top=1, seeds=1)
    said = finalists_words(study)[0]
    assert "than the paper's block; one seed, nothing can be claimed" in said
    assert "than K3; one seed, nothing can be claimed" in said


def test_what_an_archive_holds_can_be_confirmed(confirm, searched):
    archive("s")
    (Path("studies") / "s" / "study.db").unlink()
    assert confirm().spec.ablation.of == "s"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none",), "no study at studies/none"),
        (("s", "--top", "0"), "--top 0: must be between 1 and 50"),
        (("s", "--seeds", "0"), "--seeds 0: must be between 1 and 1000"),
        (("s", "--profile", "fast"), "unknown profile 'fast'"),
        (("s-confirm",), "s-confirm: is no search, and has no finalists"),
    ],
)
def test_wrong_input_says_what_to_do(confirm, command, arguments, says):
    if arguments[0] == "s-confirm":
        confirm()
    code, out, err = command("confirm", *arguments)
    assert (code, says in err, out) == (2, True, ""), err


def test_a_confirmation_that_trains_no_longer_is_refused(confirm, monkeypatch):
    monkeypatch.setattr("skexplore.plan.confirmation.LONGER", 1)
    with pytest.raises(UserError, match="tiny: trains each block on 256 images, and the search did on 256"):
        confirm()


def test_a_plan_says_the_roles_and_that_the_front_has_fewer(confirm, command, searched, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 100.0)
    code, out, err = command("confirm", "s", "--top", "50", "--plan")
    assert (code, out.count("finalist"), out.count("random")) == (0, len(searched.front), 2)
    assert f"--top 50: s has {len({r.arch_id for r in searched.eligible()})} blocks to confirm" in err


def test_what_is_printed_says_then_and_now(confirm, command):
    study = confirm(top=1)
    code, out, _ = command("confirm", "s", "--top", "1")
    assert code == 0
    best = study.spec.ablation.variants[0]
    assert f"{best.block}: {100 * best.searched_error:.2f} % in the search" in out
    assert "the paper's block in the search, and is" in out
    code, out, _ = command("confirm", "s", "--top", "1", "--json")
    row = json.loads(out)["finalists"][0]
    assert row["variant"] == best.block
    assert row["test_mean"] == pytest.approx(row["val_mean"] + 0.01)


def test_the_report_has_the_finalists(confirm, tmp_path):
    study = confirm(top=1)
    paths = {path.name: path for path in write_report(study, tmp_path / "report")}
    said = finalists_words(study)[0]
    assert said in paths["report.md"].read_text()
    assert len(paths["finalists.csv"].read_text().splitlines()) == 1 + len(study.spec.ablation.variants)
    page = paths["index.html"].read_text()
    assert "Finalists of s, then and now" in page
    assert "Finalists trained again" in page
    found = json.loads(paths["findings.json"].read_text())
    assert [row["role"] for row in found["finalists"]] == ["finalist", "anchor", "anchor", "random", "random"]


def test_interrupted_it_ends_with_every_training_once(confirm):
    with pytest.raises(KeyboardInterrupt):
        confirm(interrupts=pressed_after(12))
    assert load_study("s-confirm").state == "interrupted"
    study = confirm()
    assert study.state == "finished"
    assert (
        len({record.key for record in study.records}) == len(study.records) == study.spec.ablation.trainings
    )


def test_without_a_seed_that_all_blocks_have_no_lead_is_told(confirm):
    study = confirm(top=1, seeds=2)
    block, paper = study.spec.ablation.variants[0].block, "k3+k3d2"
    kept = [r for r in study.records if (r.block, r.seed % 2) not in ((block, 0), (paper, 1))]
    torn = replace(study, records=tuple(kept))
    row = confirmation_table(torn).iloc[0]
    assert (row["n"], row["lead_val"], row["lead_test"]) == (0, None, None)
    said = finalists_words(torn)[0]
    assert "on test now, not under the seeds of all blocks" in said
    assert "the paper's block" not in said


def test_shrinkage_is_the_part_of_the_lead_that_is_gone(confirm):
    study = confirm(top=1)
    table = confirmation_table(study).set_index("variant")
    own, paper = table.iloc[0], table.loc["k3+k3d2"]
    lead = paper["searched_error"] - own["searched_error"]
    now = paper["test_mean"] - own["test_mean"]
    assert own["lead_searched"] == pytest.approx(lead)
    assert own["shrinkage"] == pytest.approx(lead - now)
    assert own["to_paper"] == pytest.approx(-now)
    assert len(finalists_words(study)) == 1


@pytest.mark.slow
def test_the_test_set_is_opened_once_for_each_training_and_only_by_a_confirmation(
    monkeypatch, tiny, synthetic_data, tmp_path
):
    """A spy on every file that is opened, under real trainings in this process: searches never see the test part."""
    from skexplore.training.segment import run_job

    for part in ("images", "labels"):
        np.save(synthetic_data / f"test_{part}.npy", np.load(synthetic_data / f"train_{part}.npy")[:100])
    opened: Counter[str] = Counter()
    whole = np.load

    def spy(file, *args, **more):
        opened[Path(file).name] += 1
        return whole(file, *args, **more)

    monkeypatch.setattr(np, "load", spy)

    class InProcess(InstantPool):
        def events(self, timeout):
            job = self.running.pop(0)
            return [run_job(job, "cpu", lambda _: True)]

    monkeypatch.setattr(coordinator, "Pool", InProcess)
    search(budget_gflops=4.5, profile="tiny", workers=1, trials=1, study="real", data_folder=synthetic_data)
    assert opened["train_images.npy"]
    assert opened["test_images.npy"] == 0
    (found,) = [record for record in load_study("real").searched if record.status == "complete"]
    weights = (Path("studies/real/weights") / f"{found.key}.safetensors").read_bytes()
    assert found.weights_sha256 == sha256(weights).hexdigest()  # what the worker wrote down is in the record
    plan = plan_confirmation(ConfirmRequest(study="real", top=1, seeds=1))
    study = run_plan(plan, Run(workers=1, data_folder=synthetic_data))
    done = cells(study.spec, study.records)
    assert opened["test_images.npy"] == len(study.records) == len(done)
    assert all(0 <= record.test_error <= 1 for record in study.records)
    images = len(np.load(synthetic_data / "test_labels.npy"))
    for record in study.records:  # which images were right is kept, and is what the error says
        assert unpack(record.test_right, images).mean() == pytest.approx(1 - record.test_error)
    run_plan(
        plan_confirmation(ConfirmRequest(study="real", top=1, seeds=1)),
        Run(workers=1, data_folder=synthetic_data),
    )
    assert opened["test_images.npy"] == len(study.records), "read again"
