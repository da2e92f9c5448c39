"""Shared Hypothesis strategies: blocks that the reference and the 8x4d proxies can build."""

from __future__ import annotations

from hypothesis import strategies as st

from skexplore.arch.notation import Blocks, Branch, SKBlock

branches = st.builds(
    Branch,
    kernel=st.sampled_from([1, 3, 5, 7]),
    dilation=st.integers(1, 4),
    groups=st.sampled_from([4, 8, 16, 32, 64, 128]),
)
blocks = st.builds(
    SKBlock,
    branches=st.lists(branches, min_size=1, max_size=5).map(tuple),
    reduction=st.integers(1, 2000),
    min_dim=st.one_of(st.just(1), st.integers(1, 40).map(lambda n: 4 * n)),
    fuse=st.sampled_from(["select", "sum"]),
)
tied: st.SearchStrategy[Blocks] = blocks.map(lambda block: (block,))
per_stage: st.SearchStrategy[Blocks] = st.tuples(blocks, blocks, blocks, blocks)
spelled_branches = st.builds(
    Branch,
    kernel=st.sampled_from([1, 3, 5]),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4, 8, 32]),
    absolute=st.booleans(),
    act=st.sampled_from(["", "relu", "linear"]),
)
# with groups and floors as they stand, and activations
spelled: st.SearchStrategy[SKBlock] = st.builds(
    SKBlock,
    branches=st.lists(spelled_branches, min_size=1, max_size=4).map(tuple),
    reduction=st.integers(1, 64),
    min_dim=st.integers(1, 64),
    fuse=st.sampled_from(["select", "sum"]),
    absolute=st.booleans(),
)
any_blocks: st.SearchStrategy[Blocks] = st.one_of(tied, per_stage)
