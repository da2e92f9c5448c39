"""What is known of seed noise before a study begins: measured once for a recipe, a split and a proxy, and shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from skexplore.arch import Backbone, get_backbone
from skexplore.study.spec import StudySpec
from skexplore.surrogate import Prior

# by identity of the recipe, of the split, and name of the proxy
PRIORS: dict[tuple[str, str, str], Prior] = {
    ("19b9ae82", "cifar10-10000-5000", "8x4d-1111-s2"): Prior(  # the profile quick of version 0.1
        sd=0.00807, df=24, source="studies/signal/panel"
    ),
    ("b438c8a8", "cifar10-20000-10000", "4x4d-1111-c32"): Prior(
        sd=0.00542, df=124, source="studies/sk-table-best"
    ),
}


def prior_of(spec: StudySpec) -> Prior | None:
    """Return what is known of the noise of trainings as in ``spec``, None if nothing is.

    A study that this was measured on knows nothing from before: its own trainings count once.
    """
    for (recipe, split, backbone), prior in PRIORS.items():
        alike = (recipe, split) == (spec.recipe.id, spec.split.id) and _body(backbone) == _body(spec.backbone)
        if alike and spec.name != PurePosixPath(prior.source).name:
            return prior
    return None


def _body(backbone: str) -> Backbone:
    """Return the network, which may be written in more than one way: ``4x4d`` is ``4x4d-1111``."""
    return replace(get_backbone(backbone), name="")
