"""Studies on disk: requests that are refused, damage, archives, and one coordinator at a time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from support.instant import TINY, die, error_of

from skexplore.engine.run import search
from skexplore.errors import StudyError, UserError
from skexplore.study.database import explain, keep_url
from skexplore.study.live import Store
from skexplore.study.recipe import PROFILES, Recipe
from skexplore.study.store import archive, load_study
from skexplore.study.study import trained


def test_a_full_disk_in_the_database_ends_with_a_message_and_an_intact_study(run, monkeypatch):
    run(trials=2)

    def full(*_, **__):
        raise optuna.exceptions.StorageInternalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", full)
        with pytest.raises(StudyError, match="disk is full"):
            run(trials=4)
    assert trained(load_study("s").records) == 2


@contextmanager
def server_gone():
    """Let every statement fail as one does when the database server has closed the connection."""

    def closed(*_):
        raise sqlite3.OperationalError("server closed the connection unexpectedly")

    def disconnected(context):
        context.is_disconnect = True

    event.listen(Engine, "do_execute", closed)
    event.listen(Engine, "handle_error", disconnected)
    try:
        yield
    finally:
        event.remove(Engine, "do_execute", closed)
        event.remove(Engine, "handle_error", disconnected)


def test_a_server_that_stops_in_mid_search_loses_nothing_and_says_how_to_go_on(run, tmp_path):
    whole = run(trials=3, study="whole")
    asked, url = [], f"sqlite:///{tmp_path / 'many.db'}"
    with ExitStack() as server:

        def answer(job):
            asked.append(job)
            if len(asked) == 6:  # the second trial, after the four anchors and the first
                server.enter_context(server_gone())
            return error_of(job)

        with pytest.raises(StudyError) as ended:
            run(answer, trials=3, study="cut", storage=url)
    said = str(ended.value)
    for words in (
        f"connection to the database is lost: {url} (server closed the connection unexpectedly)",
        "studies/cut/checkpoints",
        "Start the database again, then repeat the command",
    ):
        assert words in said
    assert "invalid data" not in said
    assert load_study("cut").state == "interrupted"
    again = run(trials=3, study="cut")
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]


POSTGRES = "postgresql://me:secret@db/many"


@pytest.mark.parametrize(
    ("url", "statement", "lost"),
    [
        (POSTGRES, None, True),  # no statement: it could not connect
        (POSTGRES, "INSERT ...", False),
        (None, None, False),  # the study's own file
    ],
)
def test_only_a_server_s_connection_can_be_lost(url, statement, lost):
    folder = Path("studies/s")
    if url:
        keep_url(folder, url)
    commit = optuna.exceptions.StorageInternalError("typically happens due to invalid data in the commit")
    commit.__cause__ = OperationalError(statement, None, OSError("out of luck\nand more"))
    commit.__cause__.__cause__ = OSError("out of luck\nand more")
    said = explain(commit, folder)
    assert said.startswith("the connection to the database is lost: " if lost else "out of luck\n")
    assert "out of luck" in said
    assert not {"secret", "invalid", "and more"} & set(said.replace(":", " ").split())


def test_a_damaged_database_is_named(run):
    Path("studies/s").mkdir(parents=True)
    Path("studies/s/study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match=r"study\.db: cannot be used"):
        load_study("s")
    with pytest.raises(UserError, match=r"study\.db: cannot be used"):
        run(trials=1)


def test_a_search_killed_before_it_began_is_begun_by_the_next_command(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", die)
        with pytest.raises(KeyboardInterrupt):
            run(trials=1)
    with pytest.raises(UserError, match="before it began"):
        load_study("s")
    assert run(trials=1).state == "finished"


def test_a_changed_archive_is_refused(run):
    run(trials=1)
    archive("s")
    Path("studies/s").rename("moved")
    Path("moved/study.db").unlink()
    records = Path("moved/records.jsonl")
    text = records.read_text()
    assert load_study("moved").spec.name == "s"  # a folder here is found by its plain name
    for changed in (text[:-1], "\n".join(text.splitlines()[:-1]) + "\n", "", text.replace("0.4", "0.1")):
        records.write_text(changed)
        with pytest.raises(UserError, match="changed since it was archived"):
            load_study("moved")


def test_a_renamed_study_is_not_mixed_with_another(run):
    run(trials=1)
    Path("studies/s").rename("studies/t")
    assert load_study("t").spec.name == "s"
    with pytest.raises(UserError, match="holds the study s"):
        run(trials=1, study="t")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"space": "other"}, "space"),
        ({"profile": "tiny2"}, "recipe"),
        ({"sampler": "random"}, "sampler"),
    ],
)
def test_another_request_under_the_same_name_is_refused(run, monkeypatch, tmp_path, change, word):
    run(trials=2)
    monkeypatch.setitem(PROFILES, "tiny2", replace(TINY, recipe=Recipe(epochs=3)))
    other = tmp_path / "other.yaml"
    other.write_text("name: other\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n")
    if "space" in change:
        change = {"space": str(other)}
    before = load_study("s")
    with pytest.raises(UserError, match=f"another {word}"):
        run(**change)
    assert load_study("s") == before


def test_other_samplers_and_budgets_are_other_studies_by_default(run):
    names = {
        run(study=None, trials=1, **change).spec.name
        for change in ({}, {"sampler": "random"}, {"budget_params_m": 27.0}, {"seed": 1})
    }
    assert names == {
        "synthetic-sk-paper-4.5g-tiny-s0", "synthetic-sk-paper-4.5g-tiny-s0-random",
        "synthetic-sk-paper-4.5g-27m-tiny-s0", "synthetic-sk-paper-4.5g-tiny-s1",
    }  # fmt: skip


def test_a_second_coordinator_is_refused(run):
    refused = []

    def answer(job):
        if not refused:
            with pytest.raises(UserError, match="live coordinator") as error:
                search(budget_gflops=4.5, profile="tiny", study="s", data_folder=Path(job.data_folder))
            refused.append(error)
            assert load_study("s").state == "running"
        return error_of(job)

    run(answer=answer, trials=2)
    assert len(refused) == 1


def test_an_archive_reads_as_the_study_it_came_from(run):
    study = run(trials=3)
    archive("s")
    Path("studies/s/study.db").unlink()
    again = load_study("s")
    assert again == replace(study, archived=True)
    with pytest.raises(UserError, match="is an archive"):
        run(trials=4)


def test_reading_what_is_no_study(run):
    with pytest.raises(UserError, match="no study at studies/none; studies here: none yet"):
        load_study("none")
    Path("studies/a").mkdir(parents=True)
    Path("studies/a/records.jsonl").write_text("{}\n")
    Path("studies/a/study.json").write_text("{]")
    with pytest.raises(UserError, match="not valid JSON"):
        load_study("a")
    Path("studies/a/study.json").write_text("[]")
    with pytest.raises(UserError, match="not the definition"):
        load_study("a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget_gflops": -1}, "positive"),
        ({"budget_gflops": float("nan")}, "positive"),
        ({"budget_gflops": 1.0}, "cheapest block of sk-paper, k1g128"),
        ({"budget_params_m": 5.0}, "cheapest block"),
        ({"sampler": "grid"}, "must be one of tpe, model, random"),
        ({"anchors": "three"}, "two, table6, table7, all, none"),
        ({"trials": 0}, "at least 1"),
        ({"workers": 0}, "at least 1"),
        ({"seed": -1}, "between 0"),
        ({"profile": "huge"}, "known: smoke, quick"),
        ({"space": "sk-papr"}, "did you mean sk-paper"),
        ({"study": "../x"}, "letters"),
        ({"study": "a b"}, "letters"),
        ({"study": "<script>"}, "letters"),
        ({"study": "x.anchors"}, "anchors"),
    ],
)
def test_a_bad_request_is_refused_before_anything_is_written(run, change, message):
    with pytest.raises(UserError, match=message):
        run(**change)
    assert not Path("studies").exists()


def altered_archive(folder: Path, change) -> str:
    """Alter an archive as someone would who also renews its hash; returns its path."""
    file, definition = folder / "records.jsonl", folder / "study.json"
    records, study = (
        [json.loads(line) for line in file.read_text().splitlines()],
        json.loads(definition.read_text()),
    )
    change(records, study)
    text = "".join(json.dumps(record) + "\n" for record in records)
    file.write_text(text)
    definition.write_text(json.dumps(study | {"records_sha256": hashlib.sha256(text.encode()).hexdigest()}))
    return str(folder)


@pytest.mark.parametrize("field", ["status", "origin", "sampler", "key", "net_id", "arch_id", "replay_of"])
def test_a_word_of_a_record_that_is_none_of_ours_is_refused(run, field):
    run(study="s")
    archive("s", Path("studies/copy"))

    def change(records, _):
        records[1][field] = "<img src=x onerror=alert(1)>"

    allowed = "letters, digits" if field not in ("status", "origin", "sampler") else ""
    with pytest.raises(
        UserError, match=rf"records\.jsonl: line 2: {field}: '<img.*must be {allowed}"
    ) as error:
        load_study(altered_archive(Path("studies/copy"), change))
    if field == "origin":
        assert str(error.value).endswith("must be one of search, anchor, replicate, replay")


@pytest.mark.parametrize(
    "ended",
    ["<img src=x onerror=alert(1)>", "2026-02-30T00:00:00Z", "2026-01-31 12:00:00", "0001-01-01T00:00:00Z"],
)
def test_a_moment_that_is_none_is_refused(run, ended):
    run(study="s")
    archive("s", Path("studies/copy"))

    def change(records, _):
        records[1]["ended"] = ended

    with pytest.raises(
        UserError, match=r"records\.jsonl: line 2: ended: .*must be a moment in UTC such as 2026"
    ):
        load_study(altered_archive(Path("studies/copy"), change))


@pytest.mark.parametrize("field", ["sampler", "mode", "keep_weights", "anchors", "recipe.schedule"])
def test_a_word_of_a_study_that_is_none_of_ours_is_refused(run, field):
    run(study="s")
    archive("s", Path("studies/copy"))

    def change(_, study):
        *path, last = field.split(".")
        inner = study["spec"]
        for name in path:
            inner = inner[name]
        inner[last] = "<b>"

    with pytest.raises(UserError, match=rf"study\.json: spec\.{field}: '<b>': must be one of \w+, "):
        load_study(altered_archive(Path("studies/copy"), change))


def test_a_state_that_is_none_of_ours_is_refused(run):
    run(study="s")
    archive("s", Path("studies/copy"))
    with pytest.raises(UserError, match=r"study\.json: state: 'done': must be one of running, finished"):
        load_study(altered_archive(Path("studies/copy"), lambda _, study: study.update(state="done")))
