"""What an ablation is made of: variants of a network, each trained with the same seeds."""

from __future__ import annotations

from dataclasses import dataclass

from skexplore.arch import (
    PLAIN,
    REFERENCE,
    Architecture,
    Backbone,
    Setting,
    blocks_of,
    body_of,
    get_backbone,
    says_body,
)

PAPER, PLAIN_BLOCK = "k3+k3d2", "k3"  # the paper's block, and the ResNeXt block that it is made from
_LIGHT = "k3+k3d2/r4/L1"  # the paper's in light networks (supplement A)
COLUMNS_OF_ERRORS = ("top1_error_pct", "top1_error_320_pct", "cifar10_error_pct", "cifar100_error_pct")


def paper_block(reference: Backbone) -> str:
    """Return the block that the paper has in networks like ``reference``."""
    return _LIGHT if reference.unit.depthwise else PAPER


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A row of the paper beside which a variant stands: error in %, params in 10^6, gflops in 10^9 multiply-adds.

    What the table does not give is None.
    """

    table: str
    row: int
    system: str
    error_pct: float | None
    params_m: float | None
    gflops: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One network of an ablation.

    block: notation at the reference; reference: the backbone in which the paper's costs of this network hold; setting:
    what surrounds the block. factor, level: what was changed in the baseline, and to what. role: of a finalist's
    confirmation ``finalist``, ``anchor`` or ``random``. searched_error: validation error of the search, a fraction;
    believed, believed_sd: what the search thought the true one to be, and the standard deviation of that.
    """

    name: str
    block: str
    setting: Setting = PLAIN
    reference: str = REFERENCE.name
    factor: str = ""
    level: str = ""
    printed: Printed | None = None
    role: str = ""
    searched_error: float | None = None
    believed: float | None = None
    believed_sd: float | None = None

    @property
    def architecture(self) -> Architecture:
        """The network at the scale of the paper's costs."""
        whole = body_of(self.block, get_backbone(self.reference))
        return self.setting.around(blocks_of(self.block), whole)

    @property
    def network(self) -> str:
        """The network in one line: its block, and what surrounds it."""
        around = "" if says_body(self.block) else self.setting.words
        return f"{self.block} {around}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A question planned before training: the mean error of the variants ``of``, by name, less that of ``against``."""

    name: str
    of: tuple[str, ...]
    against: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Variants, by name, whose order is looked at by itself."""

    name: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Variants times seeds: ``seeds`` seeds from the study's own on, each a block in the sense of the statistics.

    kinds: ``rows``, ``one_at_a_time``, ``leave_one_out`` or ``confirm``. baseline: the name of the variant that all
    others are compared with. table, column: the paper's table beside, and its column of errors; empty for none.
    of: the search whose finalists are confirmed. test: whether each training is measured on the test set. contrasts,
    groups: what is asked beside the differences to the baseline.
    """

    description: str
    kinds: tuple[str, ...]
    baseline: str
    variants: tuple[Variant, ...]
    seeds: int
    table: str = ""
    column: str = COLUMNS_OF_ERRORS[0]
    of: str = ""
    test: bool = False
    contrasts: tuple[Contrast, ...] = ()
    groups: tuple[Group, ...] = ()

    @property
    def trainings(self) -> int:
        """How many trainings that makes."""
        return len(self.variants) * self.seeds
