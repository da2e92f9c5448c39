"""Reports that follow a running study: written again, served to this machine alone, and left in peace when it ends."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from support.studies import keep, only, synthetic

from skexplore.cli.following import EVERY, follow, keep_up, serving
from skexplore.errors import UserError

REFRESH = f'<meta http-equiv="refresh" content="{EVERY}">'


@pytest.fixture
def states(monkeypatch):
    """Let studies be in the next of these states each time that they are read; yields the list to be filled."""
    left, waited = [], []

    def load(name):
        study = synthetic(name=Path(name).name)
        return replace(study, state=left.pop(0) if len(left) > 1 else left[0])

    monkeypatch.setattr("skexplore.study.load_study", load)
    monkeypatch.setattr("time.sleep", waited.append)
    return left


def test_a_running_study_is_reported_until_it_ends(states, capsys, tmp_path):
    states += ["running", "running", "finished"]
    follow("one", [], tmp_path / "one")
    assert REFRESH in (tmp_path / "one/index.html").read_text()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(" one, " in line and "trained" in line for line in said)


def test_whoever_ends_it_leaves_a_page_that_rests(states, monkeypatch, tmp_path):
    def interrupted(_):
        raise KeyboardInterrupt

    states.append("running")
    monkeypatch.setattr("time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        follow("one", [], tmp_path / "one")
    assert REFRESH not in (tmp_path / "one/index.html").read_text()


def test_the_command_ends_with_a_page_that_rests(command, states):
    keep(synthetic(name="one"))
    states += ["running", "running", "finished"]
    code, out, err = command("report", "one", "--watch")
    assert (code, "reports/one/index.html" in out) == (0, True)
    assert err.count(" of ") >= 1
    assert REFRESH not in Path("reports/one/index.html").read_text()


def test_what_runs_is_kept_up_to_date_and_what_ended_is_written_once_more(states, tmp_path):
    for name in ("one", "archived"):
        keep(synthetic(name=name))
    Path("studies/one/study.db").touch()  # an archive runs nowhere
    page = tmp_path / "one/index.html"
    states.append("finished")
    assert keep_up(tmp_path, set()) == set()
    assert not page.exists()
    assert (tmp_path / "index.html").exists()
    states[:] = ["running"]
    running = keep_up(tmp_path, set())
    assert running == {"one"}
    assert REFRESH in page.read_text()
    assert keep_up(tmp_path, running, last=True) == running
    assert REFRESH not in page.read_text()
    states[:] = ["finished"]
    assert keep_up(tmp_path, running) == set()
    assert REFRESH not in page.read_text()


def test_files_are_served_to_this_machine_by_its_own_name_alone(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "index.html").write_text("the overview")
    (tmp_path / "secret").write_text("not for the browser")
    server = serving(served, 0)
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        assert server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(address) as answer:
            assert (answer.read(), answer.headers["Cache-Control"]) == (b"the overview", "no-store")
        foreign = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}%2e%2e/secret")
        with pytest.raises(UserError, match=f"--port {server.server_port}: cannot be served on"):
            serving(served, server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def test_explore_writes_serves_and_opens_the_overview(command, monkeypatch):
    opened = []
    keep(only(("k3", "complete", 0.43, 6), name="one"))
    monkeypatch.setattr("webbrowser.open", opened.append)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    code, out, _ = command("explore", "--port", "0")
    assert code == 130
    assert [address in out for address in opened] == [True]
    assert Path("reports/index.html").exists()
    code, out, _ = command("explore", "--port", "0", "--no-browser")
    assert (code, len(opened)) == (130, 1)
