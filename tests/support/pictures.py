"""SVG drawings read back: their texts, and what every one of them must keep to."""

import re
import xml.etree.ElementTree as ET

from skexplore.arch.drawing import CHAR


def texts(drawing):
    return [node.text for node in ET.fromstring(drawing).iter("text")]


def check(drawing):
    """Parse a bare drawing; every text must lie within the frame, and no id may clash with another drawing's."""
    root = ET.fromstring(drawing)
    assert root.get("role") == "img"
    _, _, width, height = map(int, root.get("viewBox").split())
    assert root.find("title").text
    for node in root.iter():
        assert node.get("id") is None
        assert all(name.startswith("sk-") for name in node.get("class", "").split())
        assert node.get("fill") in (None, "none", "currentColor")
        assert node.get("stroke") in (None, "none", "currentColor")
    offsets = {child: parent for parent in root.iter() for child in parent}
    for node in root.iter("text"):
        x, y, up, anchor = float(node.get("x")), float(node.get("y")), node, node.get("anchor")
        while up is not root:
            anchor = anchor or up.get("text-anchor")
            if move := up.get("transform"):
                dx, dy = map(float, re.findall(r"\d+", move))
                x, y = x + dx, y + dy
            up = offsets[up]
        half = len(node.text) * CHAR / 2
        left = x - half if anchor == "middle" else x - 2 * half if anchor == "end" else x
        assert left >= 0, node.text
        assert left + 2 * half <= width + CHAR, node.text
        assert 8 <= y <= height, node.text
