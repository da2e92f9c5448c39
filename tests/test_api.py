"""The public names: what a notebook imports, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import skexplore

PUBLIC = (
    "Architecture", "SKConv", "SKUnit", "Space", "Study", "ablate", "build", "build_system", "compare", "confirm",
    "cost", "export_block", "load_block", "load_study", "load_table", "load_timm", "parse", "place", "record_attention",
    "search", "system_cost", "timm_state", "train", "verify", "write_report",
)  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_says_what_it_is(name):
    found = getattr(skexplore, name)
    assert callable(found)
    assert found.__doc__
    assert name in dir(skexplore)


def test_the_public_names_are_these():
    assert set(skexplore.__all__) - {"__version__"} == set(PUBLIC)


@pytest.mark.parametrize(
    "code",
    [
        "import skexplore",
        "import skexplore; skexplore.Architecture.of('k3', gate='se').cost(); skexplore.cost('k3')",
        "import skexplore; skexplore.place('k3+k3d2'); skexplore.Space",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    heavy = (
        "import sys; print([n for n in ('torch', 'pandas', 'optuna', 'plotly', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{heavy}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
