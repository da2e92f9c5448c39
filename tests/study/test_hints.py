"""The commands that a study proposes: what made it, or goes on with it, as it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from skexplore.study.database import check_storage
from skexplore.study.hints import again_command, confirm_command, report_command, train_command
from skexplore.study.store import load_study

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def first():
    return load_study(str(STUDIES / "first-search"))


def test_a_search_is_gone_on_with_by_the_words_that_began_it(first):
    assert first.spec.searches is True
    words, typed = shlex.split(again_command(first)), shlex.split(first.command)
    assert words[:2] == typed[:2] == ["skexplore", "search"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    asked = dict(zip(typed[2::2], typed[3::2], strict=True))
    assert asked.items() <= given.items()
    assert given["--trials"] == str(first.target)


def test_an_ablation_is_no_search():
    assert load_study(str(STUDIES / "table7")).spec.searches is False


def test_names_and_blocks_are_quoted_for_the_shell(first):
    assert report_command(first, "a b", "c") == "skexplore report first-search 'a b' c"
    assert confirm_command(first, name="x") == "skexplore confirm first-search --study x"
    assert confirm_command(first) == "skexplore confirm first-search"
    assert (
        train_command(first, "k1;k3;k3;k3") == "skexplore train 'k1;k3;k3;k3' --study first-search --seeds 3"
    )
    assert train_command(first, "k3", seed=4).endswith("--seeds 3 --seed 4")


def test_a_missing_driver_is_named_with_its_package():
    with pytest.raises(Exception, match="is not installed") as refused:
        check_storage("oracle://u:pw@h/x")
    assert str(refused.value).endswith("pip install 'oracledb'")
