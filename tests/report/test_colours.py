"""Colours of figures and pages: seen on their ground, and apart for readers who do not see all of them."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from skexplore.report.figures import style

CSS = (Path(style.__file__).parents[2] / "templates" / "page.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--(\w+): ([^;]+);", part)) for part in CSS.split("@media", 2)[:2])

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopes": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 12  # in CIELAB, where two to three can just be told


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The contrast of WCAG 2."""
    light, dark = sorted((float(XYZ[1] @ linear(each)) for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    x, y, z = np.cbrt(np.maximum(XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(1), (6 / 29) ** 3))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def kinds(scheme):
    """What one figure may hold of kinds of points."""
    own = [style.VERMILION, style.PURPLE, style.GREEN, style.ORANGE, style.GREY]
    return [scheme["accent"], *own]


def levels(scheme):
    return [scheme["accent"], *scheme["levels"].split(), scheme["quiet"]]


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("colours", [kinds, levels])
def test_each_colour_is_seen_on_its_ground(scheme, colours):
    found = {colour: contrast(colour, scheme["page"]) for colour in colours(scheme)}
    assert min(found.values()) >= 3, found


@pytest.mark.parametrize("reader", SEEN_BY)
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("colours", [kinds, levels])
def test_colours_stay_apart_for_every_reader(scheme, colours, reader):
    seen = {colour: lab(SEEN_BY[reader] @ linear(colour)) for colour in colours(scheme)}
    found = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in combinations(seen, 2)}
    closest = min(found, key=found.__getitem__)
    assert found[closest] >= APART, (closest, found[closest])


def test_the_measures_are_those_of_their_standards():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # D65
