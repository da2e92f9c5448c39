"""All options of a search and of a training are those of their requests and of ``Run``, given as keywords."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest

import skexplore
from skexplore.arch.notation import parse_block, parse_blocks
from skexplore.arch.reference import canonical_at_reference
from skexplore.cli.search import search as search_command
from skexplore.engine.options import Run, by_keyword
from skexplore.errors import UserError
from skexplore.plan import search as planning
from skexplore.plan.search import Request, TrainRequest, plan_search, plan_training
from skexplore.space import TooManyError


@by_keyword(TrainRequest)
def echo(request, run):
    return request, run


def test_keywords_become_a_request_and_a_run():
    request, run = echo(parse_blocks("k3"), seeds=2, workers=3)
    assert request == TrainRequest(blocks=parse_blocks("k3"), seeds=2)
    assert (run.workers, run.time_limit) == (3, None)
    assert echo(blocks=parse_blocks("k3"), seeds=2)[0] == request


def test_a_whole_run_is_changed_by_other_keywords():
    given = Run(workers=3, time_limit=60.0, progress=False)
    assert echo(parse_blocks("k3"), run=given)[1] == given
    changed = echo(parse_blocks("k3"), run=given, workers=1)[1]
    assert (changed.workers, changed.time_limit) == (1, 60.0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trails": 3}, r"search: no option 'trails' \(did you mean trials\?\); options: budget_gflops, "),
        (
            {"budget": 3, "zzzz": 1},
            r"no option 'budget' \(did you mean budget_gflops, budget_params_m or budget_activations_m\?\)",
        ),
        ({"zzzz": 1}, r"no option 'zzzz'; options: "),
    ],
)
def test_an_unknown_keyword_names_the_nearest_and_writes_nothing(tmp_path, options, says):
    with pytest.raises(TypeError, match=says):
        skexplore.search(**{"budget_gflops": 4.5} | options)
    assert not list((tmp_path / "work").iterdir())


def test_what_is_needed_must_be_given():
    with pytest.raises(TypeError, match="missing a required argument: 'blocks'"):
        echo(seeds=2)
    with pytest.raises(TypeError, match="too many positional"):
        skexplore.search(4.5)


def test_what_has_a_factory_has_a_default():
    @dataclass(frozen=True, kw_only=True)
    class Asked:
        name: str
        rows: list[str] = field(default_factory=lambda: ["k3"])

    @by_keyword(Asked)
    def ask(request, _run):
        return request

    assert ask("a") == Asked(name="a", rows=["k3"])
    assert ask("a").rows is not ask("a").rows
    assert inspect.signature(ask).parameters["rows"].default == ["k3"]


@pytest.mark.parametrize("block", ["k3+k3d2", parse_block("k3+k3d2"), parse_blocks("k3+k3d2")], ids=type)
def test_blocks_are_given_as_to_cost(block):
    form = parse_blocks("k3+k3d2")
    (beside,) = plan_training(TrainRequest(blocks=block)).beside
    assert beside.architecture.blocks == canonical_at_reference(form)
    asked = Request(budget_gflops=4.5, enqueue=(block, "k3+k3d2"))
    assert plan_search(asked).wished == plan_search(replace(asked, enqueue=(form,))).wished


def test_a_space_too_large_for_a_model_is_searched_by_another_sampler(monkeypatch):
    def too_many(*_):
        raise TooManyError

    request = Request(budget_gflops=4.5)
    assert plan_search(request).spec.sampler == "model"
    monkeypatch.setattr(planning, "Candidates", too_many)
    plan = plan_search(request)
    assert (plan.spec.sampler, plan.spec.name) == ("tpe", "cifar10-sk-paper-4.5g-quick-s0")
    with pytest.raises(UserError, match=r"--sampler model: .*too large.*take another, such as tpe"):
        plan_search(replace(request, sampler="model"))


def test_notebooks_are_shown_every_option_with_its_default():
    shown = inspect.signature(skexplore.search).parameters
    assert list(shown) == [each.name for each in (*fields(Request), *fields(Run))] + ["run"]
    assert (shown["mode"].default, shown["seed"].default) == ("constrained", 0)


def test_the_command_line_has_an_option_for_each_of_a_search_with_the_same_default():
    typed = inspect.signature(search_command).parameters
    for each in fields(Request):
        option = typed[each.name.removesuffix("_m")]
        assert option.default == (each.default or None if each.name in ("enqueue", "reuse") else each.default)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget_gflops": "4.5"}, "search: budget_gflops is '4.5': must be a number or None"),
        ({"budget_gflops": True}, "must be a number or None"),
        ({"trials": 3.0}, "search: trials is 3.0: must be a whole number or None"),
        ({"mode": None}, "must be a text"),
        ({"sampler": 3}, "must be a text or None"),
        ({"enqueue": "k3"}, "must be a list, such as ['k3']"),
        ({"workers": "2"}, "search: workers is '2'"),
    ],
)
def test_an_option_of_another_type_is_named(given, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        skexplore.search(**{"budget_gflops": 4.5} | given)


@pytest.mark.parametrize("block", [3, None, ["k3"], ("k3",)])
def test_what_is_no_block_is_told_what_is_one(block):
    with pytest.raises(UserError, match=r"no block; give its notation such as 'k3\+k3d2'"):
        skexplore.cost(block)


def test_a_study_is_shown_in_a_line():
    study = skexplore.load_study(str(Path(__file__).parents[2] / "studies" / "first-search"))
    assert repr(study) == f"<Study first-search: finished, {len(study.records)} records>"
