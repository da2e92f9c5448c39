"""Networks of other packages: their papers' own numbers, and what is said without the package."""

from __future__ import annotations

import sys

import pytest

from skexplore.errors import UserError
from skexplore.nn.flop_count import count
from skexplore.nn.outside import count_outside
from skexplore.paper.accounting import reproduce
from skexplore.paper.outside import OUTSIDE, Outside

# params in 10^6 and multiply-adds in 10^9 as published by the networks' own papers or packages
KNOWN = {
    "inception-v3": (27.161, 5.713),
    "dpn-68": (12.612, 2.33),
    "dpn-92": (37.668, 6.50),
    "dpn-98": (61.571, 11.67),
    "densenet-169": (14.149, 3.36),
    "densenet-201": (20.014, 4.29),
    "densenet-264": (33.338, 5.75),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_their_own_papers_say(name):
    pytest.importorskip("timm")
    own = count_outside(OUTSIDE[name])
    assert (own.params / 1e6, own.macs / 1e9) == (
        pytest.approx(KNOWN[name][0], abs=6e-4),
        pytest.approx(KNOWN[name][1], abs=6e-3),
    )


def test_it_counts_as_fvcore_does():
    import torchvision

    small = Outside(title="ResNet-18", maker="torchvision.models:resnet18", resolution=64)
    own, other = count_outside(small), count(torchvision.models.resnet18(), 64)
    assert (own.params, own.bn_stats, own.macs) == (other.params, other.bn_stats, other.macs)


def test_their_rows_have_a_count_where_one_is_given():
    name = "densenet-169"
    (row,) = [
        r
        for r in reproduce("S9", {name: count_outside(OUTSIDE[name])})
        if r.system.startswith("DenseNet-169")
    ]
    assert row.definition == "densenet-169: torchvision.models.densenet169() at 224x224"
    assert (row.prints_as, row.note, row.gate_macs) == (("params",), "", None)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"DPN-68 needs timm, .*skexplore\[bench\]"):
        count_outside(OUTSIDE["dpn-68"])
