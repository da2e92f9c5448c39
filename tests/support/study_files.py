"""Definitions of small ablations for tests."""

from __future__ import annotations

from pathlib import Path

SMALL = """
name: small
table: "7"
profile: tiny
seeds: 2
baseline: k3+k3d2
leave_one_out:
  attention: {fuse: sum}
  second branch: {branches.2: none}
  BN in fuse: {fuse_norm: false}
together:
  both: [attention, BN in fuse]
one_at_a_time:
  reduction: [8, 16]
  gate: [none, se]
"""
ROWS = """
name: rows
profile: tiny
seeds: 2
baseline: K3
rows:
  - {name: K3, block: k3}
  - {name: SK, system: sknet50}
  - {name: wider, system: resnext50-wider, backbone: 9x4d-1111-c16-s2}
"""


def write(text: str, name: str = "small.yaml") -> str:
    Path(name).write_text(text)
    return name
