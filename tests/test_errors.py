"""A name that is not known: every registry says what was given, what is near and what is known, in the same words."""

from __future__ import annotations

import pytest

from skexplore.arch.attention import parse_gate
from skexplore.arch.backbones import get_backbone
from skexplore.data.datasets import get_dataset
from skexplore.errors import UserError, check_one_of, did_you_mean, lookup
from skexplore.paper.accounting import reproduce
from skexplore.paper.networks import get_system
from skexplore.paper.tables import anchor_blocks
from skexplore.plan.search import Request, plan_search
from skexplore.space.space import Space
from skexplore.study.recipe import get_profile


def test_a_known_name_is_looked_up_and_an_unknown_one_says_what_is_near():
    assert lookup("a", {"a": 1}, what="letter") == 1
    with pytest.raises(UserError) as error:
        lookup("Alpa", {"alpha": 1, "beta": 2}, what="letter")
    assert str(error.value) == "unknown letter 'Alpa' (did you mean alpha?); known: alpha, beta"
    with pytest.raises(UserError) as error:
        lookup("x", {"alpha": 1}, what="letter", where="see the list")
    assert str(error.value) == "unknown letter 'x'; see the list"
    assert did_you_mean("zzz", ["alpha"]) == ""
    names = ["one-search", "two-search", "search-three", "four-search"]
    assert did_you_mean("Search", names) == " (did you mean one-search, two-search or search-three?)"
    assert did_you_mean("ch", names) == ""  # too little of a name to stand for it
    check_one_of("--letter", "a", "ab")
    with pytest.raises(UserError) as error:
        check_one_of("--letter", "alpa", ("alpha", "beta"))
    assert str(error.value) == "--letter alpa: must be one of alpha, beta (did you mean alpha?)"


@pytest.mark.parametrize(
    ("ask", "near"),
    [
        (lambda: get_backbone("SKNet50"), r"unknown backbone 'SKNet50' \(did you mean sknet50\?\)"),
        (lambda: get_backbone("8X4D"), r"unknown backbone '8X4D' \(did you mean 8x4d\?\)"),
        (
            lambda: get_system("senet5"),
            r"unknown system 'senet5' \(did you mean senet50\?\); skexplore systems",
        ),
        (lambda: parse_gate("cbma"), r"gate cbma: must be one of se, cbam, bam \(did you mean cbam\?\)"),
        (
            lambda: get_profile("quik"),
            r"unknown profile 'quik' \(did you mean quick\?\); known: smoke, quick",
        ),
        (
            lambda: get_dataset("CIFAR10"),
            r"unknown dataset 'CIFAR10' \(did you mean cifar10\?\); known: cifar10",
        ),
        (
            lambda: Space.load("sk-papr"),
            r"'sk-papr' \(did you mean sk-paper\?\); known: .*a path to a .yaml file",
        ),
        (lambda: reproduce("S"), r"--table S: must be one of 1, 2, 3, 4, 5, 6, 7, S8, S9, all"),
        (
            lambda: anchor_blocks("tabel6"),
            r"--anchors tabel6: must be one of two, .* \(did you mean table6\?\)",
        ),
        (
            lambda: plan_search(Request(budget_gflops=4.5, sampler="ngsa2")),
            r"--sampler ngsa2: must be one of tpe, model, random, nsga2, gp \(did you mean nsga2\?\)",
        ),
    ],
)
def test_every_registry_says_what_is_near(ask, near):
    with pytest.raises(UserError, match=near):
        ask()
