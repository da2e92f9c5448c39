"""The other ways to search: two objectives, other samplers, another database, a time limit, other anchors."""

from __future__ import annotations

import sys
import time
import tomllib
from pathlib import Path

import optuna
import pytest
from support.instant import error_of, rugged

import skexplore
from skexplore.engine.options import Run
from skexplore.engine.run import train
from skexplore.engine.state import State
from skexplore.errors import UserError
from skexplore.paper.tables import anchor_blocks
from skexplore.plan.search import seconds_of
from skexplore.study.database import DRIVERS
from skexplore.study.live import Store
from skexplore.study.samplers import SAMPLERS
from skexplore.study.spec import stored_space
from skexplore.study.store import archive, load_study
from skexplore.study.study import pareto_front
from skexplore.training.messages import weights_file


def test_pareto_mode_tells_the_sampler_error_and_macs(run):
    study = run(rugged, mode="pareto", trials=8, study="p")
    stored = optuna.load_study(study_name="p", storage="sqlite:///studies/p/study.db")
    assert len(stored.directions) == 2
    for trial, record in zip(stored.trials, study.searched, strict=True):
        if record.status == "complete":
            assert trial.values == [record.val_error, record.ref_macs / 1e9]
    front = {study.searched[trial.number].number for trial in stored.best_trials}
    assert front == {r.number for r in pareto_front(study.eligible())}
    with pytest.raises(UserError, match="another mode"):
        run(trials=8, study="p")


@pytest.mark.parametrize("name", [name for name, each in SAMPLERS.items() if each.together])
def test_a_sampler_is_told_of_decisions_what_it_would_find_in_this_order(run, name):
    """Otherwise a study that goes on would go astray: samplers draw a number for each decision in turn."""
    run(rugged, sampler=name, trials=6, replicates=0, anchors="none", study="told")
    with Store(Path("studies/told"), load_study("told").spec) as store:
        proposer = State(store, stored_space(store.spec)).proposer
        sampler, mirror = proposer._of_optuna(name, 0), proposer._mirror
        trial = mirror.get_trials(deepcopy=False)[-1]
        told = sampler.infer_relative_search_space(mirror, trial)
        found = type(sampler).infer_relative_search_space(sampler, mirror, trial)
    assert found
    assert [*told.items()] == [*found.items()]


def test_pareto_mode_needs_no_budget_and_the_other_does(run):
    study = run(rugged, mode="pareto", budget_gflops=None, trials=3, study="free")
    assert all(r.status != "over_budget" for r in study.searched)
    assert study.spec.name == "free"
    with pytest.raises(UserError, match="give a budget"):
        run(budget_gflops=None)


def test_pareto_mode_stops_at_rungs_too_and_resumes_to_the_trial(run, trusting):
    whole = run(rugged, mode="pareto", profile="rungs", study="whole")
    assert {"complete", "stopped"} <= {r.status for r in whole.searched}
    count = 0

    def answer(job):
        nonlocal count
        count += 1
        if count > 8:
            raise KeyboardInterrupt
        return rugged(job)

    with pytest.raises(KeyboardInterrupt):
        run(answer, mode="pareto", profile="rungs", study="cut")
    again = run(rugged, mode="pareto", profile="rungs", study="cut")
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]


@pytest.mark.parametrize("mode", ["constrained", "pareto"])
@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "gp"])
def test_every_sampler_searches_and_resumes_to_the_trial(run, sampler, mode):
    trials = {"tpe": 10, "random": 4, "nsga2": 14, "gp": 13}[sampler]  # beyond their random beginnings
    options = {"sampler": sampler, "mode": mode, "trials": trials, "replicates": 0, "anchors": "none"}
    whole = run(rugged, study="whole", **options)
    run(rugged, study="cut", **(options | {"trials": trials - 2}))
    again = run(rugged, study="cut", **options)
    assert {r.sampler for r in whole.searched} == ({"random", "tpe"} if sampler == "tpe" else {sampler})
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]
    refused = [r for r in whole.searched if r.status == "over_budget"]
    assert all(r.images == 0 for r in refused)


def test_a_study_may_live_in_another_database(run, tmp_path):
    url = f"sqlite:///{tmp_path / 'many.db'}"
    one = run(storage=url, trials=2, study="one")
    two = run(storage=url, trials=3, study="two")
    assert {s.study_name for s in optuna.get_all_study_summaries(url)} >= {"one", "two"}
    assert not Path("studies/one/study.db").exists()
    assert (len(one.searched), load_study("one").records) == (len(one.searched), one.records)
    assert run(trials=3, study="two").records == two.records  # the address is remembered
    with pytest.raises(UserError, match="is kept in"):
        run(storage=f"sqlite:///{tmp_path / 'other.db'}", trials=3, study="two")
    archive("two", tmp_path / "kept")
    assert load_study(str(tmp_path / "kept")).records == two.records


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://u:pw@h/x", ("psycopg", "'psycopg[binary]'", "'skexplore[postgresql]'")),
        ("postgresql+psycopg2://u:pw@h/x", ("psycopg2", "'psycopg2-binary'")),
        ("mysql://u:pw@h/x", ("MySQLdb", "'mysqlclient'", "'skexplore[mysql]'")),
        ("mariadb+pymysql://u:pw@h/x", ("pymysql", "'PyMySQL'")),
        ("oracle://u:pw@h/x", ("oracledb", "pip install 'oracledb'")),
    ],
)
def test_a_missing_driver_names_what_to_install(run, monkeypatch, url, words):
    for module in ("psycopg", "psycopg2", "MySQLdb", "pymysql", "oracledb"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(UserError, match="its driver is not installed") as refused:
        run(storage=url)
    assert all(word in str(refused.value) for word in words)
    assert "pw" not in str(refused.value)


def test_the_extras_of_drivers_bring_them():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for package, extra in DRIVERS.values():
        assert not extra or project["optional-dependencies"][extra][0].startswith(package)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a database URL"),
        ("redis://host/0", "unknown scheme"),
        ("sqlite:///nowhere/at/all.db", "in a folder that exists"),
        ("sqlite://", "must name a file"),
    ],
)
def test_a_database_that_cannot_be_is_refused_before_anything_is_written(run, url, message):
    with pytest.raises(UserError, match=message):
        run(storage=url)
    assert not Path("studies").exists()


def test_a_password_is_not_kept_in_the_command(command, monkeypatch):
    from skexplore.cli import common as cli_run

    monkeypatch.setattr("sys.argv", ["skexplore", "search", "--storage", "postgresql://me:secret@host/db"])
    assert "secret" not in cli_run.typed_command()
    monkeypatch.setattr("sys.argv", ["skexplore", "search", "--storage=postgresql://me:secret@host/db"])
    assert "secret" not in cli_run.typed_command()


def test_a_time_limit_ends_the_run_and_the_same_call_goes_on(run):
    begun = []

    def slow(job):
        begun.append(job)
        time.sleep(3 if len(begun) > 1 else 0)
        return error_of(job)

    notes = []
    part = run(slow, trials=5, replicates=0, time_limit=2.5, on_progress=notes.append)
    assert part.state == "interrupted"
    assert any("time limit is reached" in getattr(event, "text", "") for event in notes)
    whole = run(trials=5, replicates=0)
    assert (whole.state, len([r for r in whole.searched if r.status == "complete"])) == ("finished", 5)
    finished = [r for r in part.records if r.status != "running"]
    assert finished
    assert set(finished) <= set(whole.records)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200)]
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "1d", "10 minutes", "m"])
def test_no_times(text):
    with pytest.raises(UserError, match="must be a time such as"):
        seconds_of(text)


def test_anchors_are_the_rows_of_the_tables(run):
    assert len(anchor_blocks("table6")) == 5
    assert len(anchor_blocks("table7")) == 11
    assert set(anchor_blocks("all")) == set(anchor_blocks("table6")) | set(anchor_blocks("table7"))
    study = run(anchors="table6", trials=1)
    assert len(study.anchors) == 5 * 2
    assert {r.block for r in study.anchors} == set(anchor_blocks("table6"))


@pytest.mark.parametrize(("keep", "files"), [("all", 4), ("none", 0)])
def test_weights_are_kept_as_asked(run, keep, files):
    def answer(job):
        path = Path(job.study_folder) / "weights" / f"{job.spec.key}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"weights")
        return error_of(job)

    run(answer, trials=4, anchors="none", keep_weights=keep)
    assert len(list(Path("studies/s/weights").glob("*"))) == files


def test_weights_of_anchors_are_kept_on_request(run):
    def answer(job):
        path = Path(job.study_folder) / "weights" / f"{job.spec.key}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"weights")
        return error_of(job)

    def kept(study):
        return {path.stem for path in Path(f"studies/{study.spec.name}/weights").glob("*")}

    usual = run(answer, trials=4)
    assert not kept(usual) & {record.key for record in usual.anchors}
    study = run(answer, trials=4, keep_weights="anchors", study="t")
    assert kept(study) == kept(usual) | {record.key for record in study.anchors}


def test_weights_of_a_training_in_hand_outlive_the_end_of_another(run):
    """The second of two workers has written its weights before the end of the first is heard of."""

    def answer(job):
        for each in [job, *run.pool.running]:
            path = weights_file(Path(job.study_folder), each.spec.key)
            path.parent.mkdir(exist_ok=True)
            if each.spec.key not in written:
                path.write_bytes(b"weights")
                written.add(each.spec.key)
        return error_of(job)

    written = set()
    study = run(answer, trials=6, workers=2)
    kept = {path.stem for path in Path("studies/s/weights").glob("*")}
    assert kept == {record.key for record in [*study.front, *study.front_over(lambda r: r.ref_params)]}


def test_an_own_block_joins_a_study_without_disturbing_its_search(run, synthetic_data, monkeypatch):
    before = run(trials=3)
    options = Run(workers=1, data_folder=synthetic_data)
    study = train(skexplore.arch.notation.parse_blocks("k3+k1/r8"), seeds=2, study="s", run=options)
    own = [r for r in study.anchors if r.sampler == "user"]
    assert [(r.block, r.seed, r.status) for r in own] == [
        ("k1+k3/r8", 0, "complete"),
        ("k1+k3/r8", 1, "complete"),
    ]
    assert study.searched == before.searched
    assert (study.target, study.command) == (before.target, before.command)
    assert (
        train(skexplore.arch.notation.parse_blocks("k1+k3/r8"), seeds=2, study="s", run=options).records
        == study.records
    )
    with pytest.raises(UserError, match="must stay comparable"):
        train(skexplore.arch.notation.parse_blocks("k3"), profile="quick", study="s", run=options)
    assert run(trials=3).records == study.records


def test_an_own_block_is_trained_in_a_study_of_its_own(run, synthetic_data):
    run.pool = None
    run(trials=1)  # installs the instant pool
    options = Run(workers=1, data_folder=synthetic_data)
    study = train(skexplore.arch.notation.parse_blocks("k3+k3d3"), profile="tiny", seeds=3, run=options)
    assert study.spec.name == "synthetic-own-tiny-s0"
    assert [r.status for r in study.records] == ["complete"] * 3
    assert study.state == "finished"


def test_trials_as_a_table(run):
    study = run(trials=2)
    table = load_study("s").trials()
    assert list(table["number"]) == [r.number for r in study.records]
    assert {"block", "status", "val_error", "ref_macs"} <= set(table.columns)
    assert callable(skexplore.search)
    assert callable(skexplore.load_study)


def interrupted_after(trainings):
    count = 0

    def answer(job):
        nonlocal count
        count += 1
        if count > trainings:
            raise KeyboardInterrupt
        return rugged(job)

    return answer


def test_an_interrupted_trial_and_an_own_training_of_the_same_network_stay_apart(run, synthetic_data):
    with pytest.raises(KeyboardInterrupt):  # the second trial is cut between its rungs
        run(interrupted_after(4), profile="rungs", anchors="none", study="s", trials=4)
    waiting = next(r for r in load_study("s").searched if r.status == "running")
    run(rugged, profile="rungs", study="other", trials=1)  # from here on trainings answer again
    options = Run(workers=1, data_folder=synthetic_data)
    blocks = skexplore.arch.notation.parse_blocks(waiting.block)
    study = train(blocks, study="s", seed=waiting.seed, run=options)
    (own,) = study.anchors
    assert (own.status, own.epochs, own.key) == ("complete", 9, waiting.key)
    still = next(r for r in study.searched if r.number == waiting.number)
    assert still == waiting  # the search did not go on
    again = run(rugged, profile="rungs", anchors="none", study="s", trials=4)
    assert all(r.status != "running" for r in again.records)
    assert again.state == "finished"


def test_an_own_training_of_a_stopped_block_is_trained_to_the_end(run, synthetic_data, trusting):
    study = run(rugged, profile="rungs", anchors="none", study="s", trials=6)
    stopped = next(r for r in study.searched if r.status == "stopped")
    options = Run(workers=1, data_folder=synthetic_data)
    own = train(skexplore.arch.notation.parse_blocks(stopped.block), study="s", run=options).anchors
    assert [(r.status, r.epochs) for r in own] == [("complete", 9)]


def test_an_enqueued_block_over_the_budget_is_refused_once(run):
    wished = (skexplore.arch.notation.parse_blocks("k7g32+k7g64"),) * 2
    first = run(enqueue=wished, trials=2, anchors="none")
    assert first.searched[0].status == "over_budget"
    assert run(enqueue=wished, trials=2, anchors="none").records == first.records


def test_enqueued_blocks_that_found_no_place_are_named(run):
    run(trials=2, anchors="none")
    notes = []
    wished = (skexplore.arch.notation.parse_blocks("k1+k3/r8"),)
    run(trials=2, anchors="none", enqueue=wished, on_progress=notes.append)
    assert any("1 enqueued blocks were not tried" in getattr(event, "text", "") for event in notes)


def test_a_study_of_another_folder_in_a_shared_database_is_not_joined(run, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'many.db'}"
    before = run(storage=url, trials=2, study="one")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(elsewhere)
        with pytest.raises(UserError, match="begun in another folder"):
            run(storage=url, trials=3, study="one")
        assert not any(elsewhere.iterdir())
        Path("studies/one").mkdir(parents=True)
        with pytest.raises(UserError, match="begun in another folder"):
            run(storage=url, trials=3, study="one")
        assert not any(Path("studies/one").iterdir())  # a folder that was there stays
    assert load_study("one").records == before.records


def test_a_relative_database_is_found_from_anywhere(run, tmp_path, monkeypatch):
    study = run(storage="sqlite:///many.db", trials=1, study="one")
    folder = Path("studies/one").resolve()
    monkeypatch.chdir(tmp_path)
    assert load_study(str(folder)).records == study.records


def test_a_database_that_is_none_leaves_the_name_free(run, tmp_path):
    (tmp_path / "junk.db").write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match=r"junk\.db: cannot be used"):
        run(storage=f"sqlite:///{tmp_path / 'junk.db'}", trials=1, study="one")
    assert not Path("studies").exists()
    assert run(trials=1, study="one").state == "finished"


@pytest.mark.parametrize(
    "url", ["postgresql://u@h:abc/x", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"]
)
def test_addresses_that_lead_nowhere(command, url):
    code, _, err = command("search", "--budget-gflops", "4.5", "--profile", "smoke", "--storage", url)
    assert code == 2
    assert "Traceback" not in err


def test_a_study_given_by_a_path_elsewhere_is_not_trained_here(run, tmp_path, synthetic_data):
    run(trials=1, study="a")
    copy = tmp_path / "b"
    Path("studies/a").rename(copy)
    with pytest.raises(UserError, match="is kept in studies/a"):
        train(
            skexplore.arch.notation.parse_blocks("k3"),
            study=str(copy),
            run=Run(data_folder=synthetic_data, workers=1),
        )
    assert not Path("studies/a").exists()
