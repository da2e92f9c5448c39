"""The synthetic table and its worlds, made once."""

from __future__ import annotations

import pytest
from support.small_table import small_table

from skexplore.bench.recorded import Recorded


@pytest.fixture(scope="session")
def synthetic_table():
    return small_table()


@pytest.fixture(scope="session")
def recorded(synthetic_table):
    return Recorded(synthetic_table)
