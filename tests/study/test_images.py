"""Which images were right, as text and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from skexplore.study.images import pack, unpack


@given(st.lists(st.booleans(), max_size=50))
def test_what_is_packed_comes_back(right):
    assert unpack(pack(np.array(right, dtype=bool)), len(right)).tolist() == right


def test_the_first_image_is_the_highest_bit():
    assert pack(np.array([True] + [False] * 8)) == "gAA="
