"""What is known of seed noise before a study begins: measured once for a recipe, a split and a proxy, and shipped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from skexplore.arch import Backbone, get_backbone
from skexplore.study import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The standard deviation of one training over seeds, a fraction 0..1, and its degrees of freedom.

    source: the archive of the trainings that it was measured on; ``skexplore signal`` prints it.
    """

    sd: float
    df: int
    source: str = ""


# by identity of the recipe, of the split, and name of the proxy
PRIORS: dict[tuple[str, str, str], Prior] = {
    ("19b9ae82", "cifar10-10000-5000", "8x4d-1111-s2"): Prior(  # the profile quick of version 0.1
        sd=0.00807, df=24, source="studies/signal/panel"
    ),
    ("b438c8a8", "cifar10-20000-10000", "4x4d-1111-c32"): Prior(
        sd=0.00385, df=24, source="studies/signal/panel-quick"
    ),
}


def prior_of(spec: StudySpec) -> Prior | None:
    """Return what is known of the noise of trainings as in ``spec``, None if nothing is."""
    for (recipe, split, backbone), prior in PRIORS.items():
        if (recipe, split) == (spec.recipe.id, spec.split.id) and _body(backbone) == _body(spec.backbone):
            return prior
    return None


def pooled(groups: Iterable[Sequence[float]], prior: Prior | None = None) -> Prior | None:
    """Return ``prior`` with what ``groups`` add, each the errors of one network under several seeds.

    s^2 = (v0 s0^2 + v s^2) / (v0 + v). A group of one seed adds nothing. None if nothing is known then.
    """
    repeated = [group for group in groups if len(group) > 1]
    before = prior or Prior(sd=0.0, df=0)
    df = before.df + sum(len(group) - 1 for group in repeated)
    if df == 0:
        return None
    squares = math.fsum((error - math.fsum(g) / len(g)) ** 2 for g in repeated for error in g)
    return replace(before, sd=math.sqrt((squares + before.df * before.sd**2) / df), df=df)


def _body(backbone: str) -> Backbone:
    """Return the network, which may be written in more than one way: ``4x4d`` is ``4x4d-1111``."""
    return replace(get_backbone(backbone), name="")
