"""SK blocks as data, their notation, and the scaling from the reference to another cardinality.

Paper: Selective Kernel Networks (Li et al., CVPR 2019), section 3.1; SK[M, G, r] is section 3.2.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from skexplore.errors import UserError

REFERENCE_CARDINALITY = 32
DEFAULT_REDUCTION = 16
DEFAULT_MIN_DIM = 32
MAX_BRANCHES = 8
MAX_TEXT = 400  # a longer notation is a mistake, not a block

MAX_KNOB = 999_999  # of r and L
MAX_WIDTH = 65_536  # channels of one SK convolution
MOST = {"kernel": 99, "dilation": 99, "groups": 9999}

_BRANCH = re.compile(
    r"k(?P<kernel>[0-9]+)(?:d(?P<dilation>[0-9]+))?(?:g(?P<absolute>=?)(?P<groups>[0-9]+))?"
    r"(?P<act>relu|linear)?"
)
_KNOB = re.compile(r"(?P<letter>[rL])(?P<absolute>=?)(?P<value>[0-9]+)")
_FORM = "kK[dD][gG or g=G][relu or linear]"
_GRAMMAR = (
    f"BRANCH+BRANCH...[/rN][/LN or /L=N][/sum] with BRANCH = {_FORM}, for example k3+k3d2 or k3+k5g64/r8"
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Branch:
    """One path of a block: a convolution with odd ``kernel``, ``dilation`` and ``groups`` at cardinality 32.

    absolute: ``groups`` are meant as they stand, at every cardinality (``k3g=8``). act: ``relu`` or ``linear`` after
    the BatchNorm, empty for what the network has there (Table S8).
    """

    kernel: int
    dilation: int = 1
    groups: int = REFERENCE_CARDINALITY
    absolute: bool = False
    act: str = ""

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"kernel {self.kernel}: must be odd and at least 1 (1, 3, 5, 7 ...)")
        if self.dilation < 1:
            raise UserError(f"dilation {self.dilation}: must be at least 1")
        if self.groups < 1:
            raise UserError(f"groups {self.groups}: must be at least 1")
        if self.act not in ("", "relu", "linear"):
            raise UserError(f"act {self.act!r}: must be relu, linear or empty")

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that one output pixel sees."""
        return self.dilation * (self.kernel - 1) + 1

    def __str__(self) -> str:
        dilation = f"d{self.dilation}" if self.dilation != 1 else ""
        groups = f"g{self.groups}" if self.groups != REFERENCE_CARDINALITY else ""
        if self.absolute:
            groups = f"g={self.groups}"
        return f"k{self.kernel}{dilation}{groups}{self.act}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SKBlock:
    """A Selective Kernel block: M branches, reduction r and floor L of Eq. 4, and how branches are fused.

    ``fuse`` is ``select`` (softmax attention, Eqs. 5-6) or ``sum`` (the naive baseline of Table 7). absolute:
    ``min_dim`` is meant as it stands, at every cardinality (``/L=8``).
    """

    branches: tuple[Branch, ...]
    reduction: int = DEFAULT_REDUCTION
    min_dim: int = DEFAULT_MIN_DIM
    fuse: str = "select"
    absolute: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.branches) <= MAX_BRANCHES:
            raise UserError(f"{len(self.branches)} branches: between 1 and {MAX_BRANCHES} are allowed")
        if self.reduction < 1:
            raise UserError(f"reduction r{self.reduction}: must be at least 1")
        if self.min_dim < 1:
            raise UserError(f"floor L{self.min_dim}: must be at least 1 (L1 means no floor)")
        if self.fuse not in ("select", "sum"):
            raise UserError(f"fuse {self.fuse!r}: must be select or sum")

    @property
    def selects(self) -> bool:
        """Whether attention acts: more than one branch, and not the plain sum."""
        return self.fuse == "select" and len(self.branches) > 1

    def dim(self, width: int) -> int:
        """Return d of Eq. 4, ``max(width // r, L)``, for an SK convolution ``width`` channels wide."""
        return max(width // self.reduction, self.min_dim)

    def __str__(self) -> str:
        parts = ["+".join(str(branch) for branch in self.branches)]
        if self.reduction != DEFAULT_REDUCTION:
            parts.append(f"r{self.reduction}")
        if self.absolute:
            parts.append(f"L={self.min_dim}")
        elif self.min_dim != DEFAULT_MIN_DIM:
            parts.append(f"L{self.min_dim}")
        if self.fuse == "sum":
            parts.append("sum")
        return "/".join(parts)


Blocks = tuple[SKBlock, ...]  # one block tied over all stages, or one per stage


@lru_cache(maxsize=4096)
def parse_branch(text: str) -> Branch:
    """Return the branch written as ``kK[dD][gG]``; raises ``UserError`` with the grammar."""
    match = _BRANCH.fullmatch(text)
    if match is None:
        raise UserError(f"branch {text!r}: not of the form {_FORM}, for example k3, k3d2 or k5g64")
    numbers = {name: int(match[name]) for name in MOST if match[name] is not None}
    for name, value in numbers.items():
        if value > MOST[name]:
            raise UserError(f"branch {text!r}: {name} {value} is too large; at most {MOST[name]} is allowed")
    try:
        return Branch(**numbers, absolute=bool(match["absolute"]), act=match["act"] or "")
    except UserError as error:
        raise UserError(f"branch {text!r}: {error}") from None


def parse_block(text: str) -> SKBlock:
    """Return the block written in block notation (one stage or tied); raises ``UserError``."""
    if len(text) > MAX_TEXT:
        raise UserError(f"block of {len(text)} characters: at most {MAX_TEXT} are allowed")
    head, *knobs = (part.strip() for part in text.split("/"))
    if not head:
        raise UserError(f"block {text!r}: empty; expected {_GRAMMAR}")
    found: dict[str, int | str] = {}
    for knob in knobs:
        match = _KNOB.fullmatch(knob)
        if match and not (match["letter"] == "r" and match["absolute"]):
            name, value = "reduction" if match["letter"] == "r" else "min_dim", int(match["value"])
            if match["absolute"]:
                found["absolute"] = True
            if value > MAX_KNOB:
                raise UserError(
                    f"block {text!r}: {knob} is too large; at most {knob[0]}{MAX_KNOB} is allowed"
                )
        elif knob == "sum":
            name, value = "fuse", "sum"  # type: ignore[assignment]
        else:
            raise UserError(f"block {text!r}: {knob!r} must be rN, LN, L=N or sum; expected {_GRAMMAR}")
        if name in found:
            raise UserError(f"block {text!r}: {knob!r} given twice")
        found[name] = value
    try:
        branches = tuple(parse_branch(part.strip()) for part in head.split("+"))
        return SKBlock(branches=branches, **found)  # type: ignore[arg-type]
    except UserError as error:
        raise UserError(f"block {text!r}: {error}") from None


def parse_blocks(text: str) -> Blocks:
    """Return the block or the per-stage blocks (``BLOCK;BLOCK;...``) of ``text``; raises ``UserError``."""
    if len(text) > MAX_TEXT:
        raise UserError(f"block of {len(text)} characters: at most {MAX_TEXT} are allowed")
    return tuple(parse_block(part) for part in text.split(";"))


def parse(text: str) -> SKBlock | Blocks:
    """Return the block of ``text``, or a tuple of one for each stage where it has ``;``; raises ``UserError``."""
    if not isinstance(text, str):
        raise UserError(f"{text!r}: no notation; give a text such as 'k3+k3d2'")
    blocks = parse_blocks(text)
    return blocks[0] if len(blocks) == 1 else blocks


def format_blocks(blocks: Blocks) -> str:
    """Return the notation that ``parse_blocks`` reads back to the same blocks."""
    return ";".join(str(block) for block in blocks)


def per_stage(blocks: Blocks, stages: int, where: str = "") -> Blocks:
    """Return one block for each of ``stages`` stages; raises ``UserError`` if the numbers do not fit."""
    if len(blocks) == 1:
        return blocks * stages
    if len(blocks) != stages:
        raise UserError(
            f"{len(blocks)} blocks for {stages} stages{where}: give one block, or {stages} with ';' between"
        )
    return blocks


def scale_block(block: SKBlock, cardinality: int, widths: Sequence[int], where: str) -> SKBlock:
    """Return ``block`` (written at cardinality 32) for a backbone of another ``cardinality``.

    Groups and the floor L are multiplied by ``cardinality / 32``, so that channels per group and d/C stay equal;
    absolute ones are not, nor is L at cardinality 1, which is no share of 32. ``widths`` are the channels of the stages
    where the block will stand; ``where`` names the backbone in errors. Raises ``UserError`` that names the branch, the
    width and the values that would do.
    """
    common = math.gcd(*widths)  # what divides all widths divides this
    branches = tuple([_scale_branch(branch, cardinality, common, widths, where) for branch in block.branches])
    if cardinality == REFERENCE_CARDINALITY:
        return block
    return replace(block, branches=branches, min_dim=_scale_min_dim(block, cardinality, where))


def _scale_branch(branch: Branch, cardinality: int, common: int, widths: Sequence[int], where: str) -> Branch:
    if branch.absolute:
        groups, rest = branch.groups, 0
    else:
        groups, rest = divmod(branch.groups * cardinality, REFERENCE_CARDINALITY)
    if not rest and common % groups == 0:
        return branch if groups == branch.groups else replace(branch, groups=groups)
    meant = branch.groups * cardinality / REFERENCE_CARDINALITY
    scaled = f" mean {meant:g} at cardinality {cardinality} and"
    fits = ", ".join(map(str, _groups_that_fit(cardinality, widths)))
    if cardinality == REFERENCE_CARDINALITY or branch.absolute:
        scaled = ""
    if branch.absolute:
        fits = ", ".join(f"g={n}" for n in range(1, common + 1) if common % n == 0)
    raise UserError(
        f"branch {branch} cannot be built on {where}: groups {branch.groups}{scaled} must be whole and "
        f"divide the widths {', '.join(map(str, widths))}; groups that do: {fits}"
    )


def without_groups(block: SKBlock, where: str) -> SKBlock:
    """Return ``block`` for depthwise convolutions, whose groups are their channels: its own are set aside.

    The floor L stays as it is written. Raises ``UserError`` for groups that are written as absolute: they are refused
    rather than forgotten.
    """
    for branch in block.branches:
        if branch.absolute:
            raise UserError(
                f"branch {branch} cannot be built on {where}: its convolutions are depthwise, with as many groups as "
                "channels; leave g out"
            )
    plain = tuple(replace(branch, groups=REFERENCE_CARDINALITY) for branch in block.branches)
    return block if plain == block.branches else replace(block, branches=plain)


def without_acts(block: SKBlock, own: str) -> SKBlock:
    """Return ``block`` without the activations that a network has there anyway."""
    if not any(branch.act == own for branch in block.branches):
        return block
    branches = [replace(branch, act="") if branch.act == own else branch for branch in block.branches]
    return replace(block, branches=tuple(branches))


def with_floor(block: SKBlock, share: Fraction) -> SKBlock:
    """Return ``block`` with its floor L times ``share``, rounded; no floor (L1) and an absolute one stay."""
    if block.absolute or block.min_dim == 1 or not block.selects:
        return block
    return replace(block, min_dim=max(1, round(block.min_dim * share)))


def block_of_width(
    block: SKBlock | str, width: int, *, inputs: int | None = None, split_input: bool = False
) -> SKBlock:
    """Return ``block``, which may be notation, for one SK convolution of ``width`` channels, as it is written.

    Groups and the floor L count as they are written, absolute or not. ``inputs`` are the channels that come in, of
    which each branch reads an equal part with ``split_input``. Raises ``UserError`` for a width or inputs that are no
    ``int`` from 1 to 65,536, groups that do not divide them, and inputs that branches cannot share.
    """
    own = parse_block(block) if isinstance(block, str) else block
    read = width if inputs is None else inputs
    for name, value in (("width", width), ("inputs", read)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_WIDTH:
            raise UserError(f"{name} {value!r}: must be a whole number of channels from 1 to {MAX_WIDTH:,}")
    if split_input:
        read, rest = divmod(read, len(own.branches))
        if rest:
            raise UserError(f"inputs {inputs}: {len(own.branches)} branches cannot share them evenly")
    channels = (width,) if read == width else (read, width)
    return scale_block(own, REFERENCE_CARDINALITY, channels, f"an SK convolution of {width} channels")


def _scale_min_dim(block: SKBlock, cardinality: int, where: str) -> int:
    if block.absolute or block.min_dim == 1 or not block.selects or cardinality == 1:
        return block.min_dim
    min_dim, rest = divmod(block.min_dim * cardinality, REFERENCE_CARDINALITY)
    if rest:
        step = REFERENCE_CARDINALITY // math.gcd(cardinality, REFERENCE_CARDINALITY)
        raise UserError(
            f"floor L{block.min_dim} cannot be built on {where}: it means "
            f"{block.min_dim * cardinality / REFERENCE_CARDINALITY:g} at cardinality {cardinality}, which must be "
            f"whole; use L1 (no floor) or a multiple of {step}"
        )
    return min_dim


def _groups_that_fit(cardinality: int, widths: Sequence[int]) -> list[int]:
    fits = []
    for groups in range(1, min(widths) + 1):
        if all(width % groups == 0 for width in widths):
            reference, rest = divmod(groups * REFERENCE_CARDINALITY, cardinality)
            if not rest:
                fits.append(reference)
    return fits


Widths = Sequence[Sequence[int]]  # of the SK convolutions of each stage: units that differ have several


def canonical(blocks: Blocks, widths: Widths) -> Blocks:
    """Return the one spelling of all blocks that mean the same network on stages of these ``widths``.

    What is written as absolute, and an activation, stay: elsewhere they mean another network.

    Branches are sorted, knobs that cannot act are dropped, r and L get one spelling for one sequence of d
    (the default where it fits, else L32 or no floor, then the smallest r), and stages that agree are tied.
    """
    forms = per_stage(tuple(_without_idle_knobs(block) for block in blocks), len(widths))
    dims = tuple(tuple(map(block.dim, of_stage)) for block, of_stage in zip(forms, widths, strict=True))
    first = forms[0]
    if any(form.absolute for form in forms):  # its d elsewhere is not that here: r and L stay as they are
        return (first,) if len(set(forms)) == 1 else forms
    if all((form.branches, form.selects) == (first.branches, first.selects) for form in forms):
        tied = _respelled(first, tuple(itertools.chain(*widths)), tuple(itertools.chain(*dims)))
        if tied is not None:
            return (tied,)
    per = [
        _respelled(form, tuple(of_stage), own)
        for form, of_stage, own in zip(forms, widths, dims, strict=True)
    ]
    return tuple(block for block in per if block is not None)


def explain(blocks: Blocks, widths: Widths) -> list[str]:
    """Return, in words, what ``canonical`` changes in ``blocks`` and why; empty if they are canonical."""
    said: list[str] = []
    for block in blocks:
        said += [reason for reason in _idle_knobs(block) if reason not in said]
    form = canonical(blocks, widths)
    if len(form) < len(blocks):
        said.append("the stages agree: one block is written for all")
    before, after = per_stage(blocks, len(widths)), per_stage(form, len(widths))
    for old, new, (*_, width) in zip(before, after, widths, strict=True):
        was, now = (f"/r{block.reduction}/L{block.min_dim}" for block in (old, new))
        if old.selects and was != now:
            reason = f"{was} is spelled {now}: the same d at every stage"
            if len(form) > 1:
                reason = f"{was} is spelled {now} where the width is {width}: d = {new.dim(width)} either way"
            said += [reason] if reason not in said else []
    return said


def _idle_knobs(block: SKBlock) -> list[str]:
    """Return why branches are reordered or a knob of ``block`` cannot act."""
    said = [
        f"{branch}: a 1x1 kernel has no dilation"
        for branch in block.branches
        if branch.kernel == 1 and branch.dilation > 1
    ]
    plain = [replace(b, dilation=1) if b.kernel == 1 else b for b in block.branches]
    if plain != sorted(plain):
        said.append("branches are sorted: their order makes no difference")
    if block.selects:
        return said
    why = "one branch: nothing is fused" if len(block.branches) == 1 else "the sum has no attention"
    knobs = [f"/r{block.reduction}"] if block.reduction != DEFAULT_REDUCTION else []
    if block.absolute or block.min_dim != DEFAULT_MIN_DIM:
        knobs.append(f"/L{'=' if block.absolute else ''}{block.min_dim}")
    knobs += ["/sum"] if len(block.branches) == 1 and block.fuse == "sum" else []
    return said + [f"{knob} cannot act ({why})" for knob in knobs]


def without_idle_knobs(blocks: Blocks) -> Blocks:
    """Return ``blocks`` with sorted branches and without knobs that cannot act."""
    return tuple(_without_idle_knobs(block) for block in blocks)


def _without_idle_knobs(block: SKBlock) -> SKBlock:
    branches = tuple(
        sorted(replace(b, dilation=1) if b.kernel == 1 and b.dilation > 1 else b for b in block.branches)
    )
    if block.selects:
        return block if branches == block.branches else replace(block, branches=branches)
    return SKBlock(branches=branches, fuse="select" if len(branches) == 1 else "sum")


def _respelled(block: SKBlock, widths: tuple[int, ...], dims: tuple[int, ...]) -> SKBlock | None:
    if not block.selects:
        return block
    spelling = _spelling(widths, dims)
    if spelling is None or spelling == (block.reduction, block.min_dim):
        return block if spelling else None
    return replace(block, reduction=spelling[0], min_dim=spelling[1])


@lru_cache(maxsize=65536)
def _spelling(widths: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the canonical (r, L) with ``max(width // r, L) == dim`` at every stage, or None if there is none."""
    smallest = min(dims)
    for floor in (DEFAULT_MIN_DIM, 1, smallest):
        if floor > smallest:
            continue
        # width // r <= dim everywhere, with equality wherever the floor does not act
        low = max(width // (dim + 1) + 1 for width, dim in zip(widths, dims, strict=True))
        high = min(
            (w // d for w, d in zip(widths, dims, strict=True) if d > floor), default=max(widths) + low
        )
        if low <= DEFAULT_REDUCTION <= high:
            return DEFAULT_REDUCTION, floor
        if low <= high:
            return low, floor
    return None
