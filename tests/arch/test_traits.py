"""The traits of a block: one value for each decision, also where stages differ."""

from __future__ import annotations

import pytest

from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import TRAITS, traits_of


@pytest.mark.parametrize(
    ("block", "values"),
    [
        ("k3+k3d2", (2, "3+3d2", 32, 16, 32, "select")),
        ("k3", (1, "3", 32, None, None, "none")),
        ("k3+k5g64/sum", (2, "3+5", "32+64", None, None, "sum")),
        ("k1g64+k3d3g64+k7g64/r8/L1", (3, "1+3d3+7", 64, 8, 1, "select")),
        (
            "k3;k3;k3+k3d2;k3+k3d2/r8",
            (
                "1;1;2;2",
                "3;3;3+3d2;3+3d2",
                32,
                "none;none;16;8",
                "none;none;32;32",
                "none;none;select;select",
            ),
        ),
        ("k3+k3d2;k3+k3d2;k3+k3d2;k3+k3d2", (2, "3+3d2", 32, 16, 32, "select")),
    ],
)
def test_traits_say_what_a_block_is_made_of(block, values):
    assert traits_of(parse_blocks(block)) == dict(zip(TRAITS, values, strict=True))
