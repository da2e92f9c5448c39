"""Backbones by name."""

from __future__ import annotations

import pytest

from skexplore.arch.backbones import cifar_backbone, get_backbone
from skexplore.errors import UserError


def test_a_backbone_for_cifar_takes_images_of_32_pixels():
    assert cifar_backbone("16x4d-1111") == get_backbone("16x4d-1111")
    assert cifar_backbone("sknet29").resolution == 32
    with pytest.raises(UserError, match="224 pixels"):
        cifar_backbone("sknet50")
