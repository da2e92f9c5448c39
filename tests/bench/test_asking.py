"""How long a search waits: what is timed is a search that goes on, and the peer's study has as many trials."""

from __future__ import annotations

import json

import pytest
from support.small_table import FEW

from skexplore.bench import analytic, distinct
from skexplore.bench.asking import time_asking


def test_samplers_go_on_from_the_same_trials_and_are_timed_beside_optuna():
    land, said = analytic(FEW, distinct(FEW), "mixed", 4.4), []
    found = list(time_asking(land, ("model", "random"), trainings=5, asks=2, progress=said.append))
    assert [each.sampler for each in found] == said[1:] == ["model", "random"]
    assert {each.proposals for each in found} == {found[0].proposals}
    for each in found:
        assert each.proposals >= each.trainings == 5
        assert min(each.ask_ms, each.store_ms, each.continue_s, each.optuna_ms, each.optuna_s) > 0
        assert each.times_ask == pytest.approx(each.optuna_ms / (each.ask_ms + each.store_ms))
        assert each.times_continue == pytest.approx(each.optuna_s / each.continue_s)


@pytest.mark.slow
def test_the_command_prints_each_sampler_and_how_it_was_timed(command):
    code, out, _ = command("bench", "ask", "--quick")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["model", "tpe", "random"]
    assert "after 20 trainings" in out
    waits = json.loads(command("bench", "ask", "--quick", "--json")[1])["waits"]
    assert [each["sampler"] for each in waits] == ["model", "tpe", "random"]
