"""From a block back to its levels: exact on every space small enough to be written out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings, strategies as st
from support.small_spaces import PAIR, conditioned_spaces, space, spaces

from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.arch.reference import canonical_at_reference
from skexplore.errors import UserError
from skexplore.space.decisions import Condition
from skexplore.space.encoder import encode
from skexplore.space.space import Space


def held(chosen: Space) -> set:
    """All blocks of a space, by brute force."""
    return {chosen.decode(point) for point in chosen.points()}


@st.composite
def spaces_and_points(draw):
    chosen = draw(conditioned_spaces())
    return chosen, {path: draw(st.sampled_from(levels)) for path, levels in chosen.decisions.items()}


@given(spaces_and_points())
def test_what_a_point_means_is_what_its_encoded_levels_mean(given_space):
    chosen, point = given_space
    blocks = chosen.decode(point)
    levels = encode(chosen, blocks)
    assert list(levels) == list(chosen.decisions)
    assert all(level in chosen.decisions[path] for path, level in levels.items())
    assert chosen.decode(levels) == blocks
    assert encode(chosen, chosen.decode(levels)) == levels


@given(conditioned_spaces())
def test_every_block_of_a_space_is_found_again(chosen):
    for blocks in held(chosen):
        assert chosen.decode(encode(chosen, blocks)) == blocks


@given(conditioned_spaces(), spaces_and_points())
def test_brute_force_agrees_on_what_is_in_a_space(chosen, other):
    blocks = other[0].decode(other[1])
    if blocks in held(chosen):
        assert chosen.decode(encode(chosen, blocks)) == blocks
        return
    with pytest.raises(UserError) as caught:
        encode(chosen, blocks)
    assert f"is not in the space {chosen.name}" in str(caught.value)
    assert format_blocks(blocks) in str(caught.value)


@given(spaces(), st.data())
def test_a_level_taken_away_takes_its_blocks_with_it(chosen, data):
    path = data.draw(st.sampled_from(sorted(chosen.decisions)))
    assume(len(chosen.decisions[path]) > 1)
    gone, *left = data.draw(st.permutations(chosen.decisions[path]))
    fewer = replace(chosen, decisions={**chosen.decisions, path: tuple(left)}, name="fewer")
    remaining = held(fewer)
    for blocks in held(replace(chosen, decisions={**chosen.decisions, path: (gone,)})):
        if blocks in remaining:
            assert fewer.decode(encode(fewer, blocks)) == blocks
        else:
            with pytest.raises(UserError, match="not in the space fewer"):
                encode(fewer, blocks)


@pytest.mark.parametrize("text", ["k3+k3d2/r4", "k3d2+k3/r4", "k3+k3d2/r4/L32"])
def test_the_spelling_of_a_block_does_not_matter(text):
    levels = encode(PAIR, parse_blocks(text))
    assert levels == {"branches.2": "k3d2", "branches.2.groups": 32, "reduction": 4}


def test_the_first_level_stands_where_several_mean_the_block():
    # without a second branch neither its groups nor the reduction act
    assert encode(PAIR, parse_blocks("k3")) == {
        "branches.2": "none",
        "branches.2.groups": 32,
        "reduction": 4,
    }


def test_a_block_that_only_a_condition_makes_is_found_and_one_it_undoes_is_not():
    plain = space({"branches.2": ("none", "k5"), "reduction": (4, 16)}, name="ruled")
    ruled = replace(plain, conditions=(Condition(when={"branches.2": ("k5",)}, then={"reduction": 16}),))
    assert ruled.decode(encode(ruled, parse_blocks("k3+k5"))) == canonical_at_reference(parse_blocks("k3+k5"))
    encode(plain, parse_blocks("k3+k5/r4"))
    with pytest.raises(UserError, match=r"block k3\+k5/r4 is not in the space ruled"):
        encode(ruled, parse_blocks("k3+k5/r4"))


def test_blocks_of_free_stages_are_found_and_tied_ones_are_not_free():
    free = space({"stages.2.branches.1": ("k1", "k3"), "stages.4.branches.2": ("none", "k5")}, name="free")
    blocks = free.decode({"stages.2.branches.1": "k1", "stages.4.branches.2": "k5"})
    assert format_blocks(blocks) == "k3;k1;k3;k3+k5"
    assert encode(free, blocks) == {"stages.2.branches.1": "k1", "stages.4.branches.2": "k5"}
    with pytest.raises(UserError, match="not in the space test"):
        encode(PAIR, blocks)


@pytest.mark.parametrize("name", ["sk-paper", "sk-cifar", "sk-wide"])
@settings(max_examples=8)
@given(data=st.data())
def test_the_shipped_spaces_find_their_own_points(name, data):
    chosen = Space.load(name)
    point = {path: data.draw(st.sampled_from(levels)) for path, levels in chosen.decisions.items()}
    blocks = chosen.decode(point)
    assert chosen.decode(encode(chosen, blocks)) == blocks
