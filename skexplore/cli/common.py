"""What commands have in common: how a run is set up, watched and interrupted, and how files are written."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeVar

import typer

from skexplore.cli.interrupts import INTERRUPTS
from skexplore.data import DATASETS
from skexplore.errors import UserError
from skexplore.tracking import TRACKERS
from skexplore.words import counted, listed

if TYPE_CHECKING:
    from skexplore.arch import Architecture, Backbone, FlopsUnit
    from skexplore.engine import Event, Run
    from skexplore.space import Space

GFLOPS = "GFLOPs = 10^9 multiply-adds of convolutions and linear layers."
T = TypeVar("T")
# headings of the help page, in its order
HEADINGS = SEARCH, DECIDE, TAKE, ASK, PAPER, MACHINE = (
    "Search",
    "Decide",
    "Take away",
    "Ask of a block",
    "The paper",
    "This machine",
)
KEPT = "interrupted; everything finished is kept. Repeat the same command to go on."


MULTIPLES = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def _in(unit: float) -> Callable[[str], float]:
    """Return what reads an amount in ``unit``, or with a letter of ``MULTIPLES`` behind it in ones."""

    def read(text: str) -> float:
        multiple = MULTIPLES.get(text[-1:].upper())
        try:
            return float(text) if multiple is None else float(text[:-1]) * multiple / unit
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a valid number, such as 4.5, 4.5G or 4500M") from None

    return read


BudgetGflops = Annotated[
    float | None,
    typer.Option(
        "--budget-gflops",
        parser=_in(1e9),
        metavar="GFLOPS",
        help=f"Budget at the reference, as 4.5, 4.5G or 4500M. {GFLOPS}",
    ),
]
BudgetMflops = Annotated[
    float | None,
    typer.Option(
        "--budget-mflops",
        parser=_in(1e6),
        metavar="MFLOPS",
        help="The same in 10^6 multiply-adds, as 146 or 146M.",
    ),
]
BudgetParams = Annotated[
    float | None,
    typer.Option(
        "--budget-params",
        parser=_in(1e6),
        metavar="MILLIONS",
        help="Budget in 10^6 parameters, at the reference, as 28 or 28M.",
    ),
]
BudgetActivations = Annotated[
    float | None,
    typer.Option(
        "--budget-activations",
        parser=_in(1e6),
        metavar="MILLIONS",
        help="Budget in 10^6 activations (outputs of convolutions and linear layers), at the reference, as 12 or 12M.",
    ),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[@HxW]",
        help="Network for which blocks are written and where budgets hold, such as skresnet18, shufflenetv2-1.0x or "
        "sknet50@160.  [default: that of the space or file, else sknet50]",
    ),
]


def decoded(dataset: str | None) -> str | None:
    """Return ``dataset``; a user's own images are decoded into the cache first, which may take minutes."""
    if dataset is not None and dataset not in DATASETS:
        from skexplore.cli.bar import Bar
        from skexplore.data import content_of

        with Bar(sys.stderr) as bar:
            content_of(dataset, progress=bar)
    return dataset


DatasetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER[@SIDE]",
        help=f"{', '.join(DATASETS)}, or your own images: a folder of train/CLASS/IMAGE, an .npz or Parquet files, at "
        "SIDE pixels (32 if left out).  [default: cifar10]",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(help="sgd: plain SGD with crops and flips on as many images.  [default: the profile's]"),
]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes.  [default: one per GPU, else one single-threaded per core]")
]
TimeOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="End after so long (90s, 10m, 1h30m); repeat to go on.")
]
StorageOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An Optuna RDB URL instead of the study's own SQLite file."),
]
TrackOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Tell each training to a tracker, on this machine: {listed(TRACKERS)} (extras).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OneBlockArgument = Annotated[
    str | None, typer.Argument(metavar="BLOCK", help="Block notation, a block.json, or - for stdin.")
]
SystemOption = Annotated[
    str | None, typer.Option(help="A network of the paper instead; see: skexplore systems.")
]
ResolutionOption = Annotated[
    str | None,
    typer.Option(
        metavar="N or HxW",
        help="Side, or height and width, of the input in pixels.  [default: the backbone's]",
    ),
]
ChannelsOption = Annotated[
    int | None, typer.Option("--in-channels", min=1, max=4096, help="Channels of the input.  [default: 3]")
]
ClassesOption = Annotated[
    int | None,
    typer.Option(min=1, max=1_000_000, help="Outputs of the classifier.  [default: the backbone's]"),
]
DataOption = Annotated[Path | None, typer.Option(help="Folder with the data set, instead of fetching it.")]


def budget_of(gflops: float | None, mflops: float | None) -> float | None:
    """Return the budget in 10^9 multiply-adds from one of its two options; raises ``UserError`` for both."""
    if gflops is not None and mflops is not None:
        raise UserError("--budget-gflops and --budget-mflops are one budget in two units: give one of them")
    return gflops if mflops is None else mflops / 1e3


def said_unit(unit: FlopsUnit) -> str:
    """Return what a unit of multiply-adds is, in a sentence."""
    return f"{unit.name} = 10^{unit.power} multiply-adds of convolutions and linear layers."


def opening(page: Path) -> str:
    """Return the command that opens a file on this system."""
    return shlex.join(["open" if sys.platform == "darwin" else "xdg-open", str(page)])


def print_prose(text: str) -> None:
    """Print sentences, on a terminal each line of them broken between words."""
    if sys.stdout and sys.stdout.isatty():
        wrapper = textwrap.TextWrapper(
            shutil.get_terminal_size().columns, break_long_words=False, break_on_hyphens=False
        )
        text = "\n".join(wrapper.fill(line) for line in text.split("\n"))
    print(text)


def print_next(*commands: str, file: TextIO | None = None) -> None:
    """Print what to do next, one command a line; file: stderr where stdout lists files."""
    print("\nNext:", *commands, sep="\n  ", file=file)


def signed(percent: float) -> str:
    """Return a difference in percent with its sign; what rounds to nothing is +0.00, never -0.00."""
    return f"{round(percent, 2) + 0.0:+.2f}"


def taps_note(space: Space, backbone: Backbone, profiles: Sequence[str] = ()) -> str:
    """Return the warning that parts of the space's kernels are not measured in a proxy, empty where all are."""
    from skexplore.arch import unseen_taps

    found = unseen_taps(space.kernels, backbone)
    if not found:
        return ""
    which = f" (profile{'s' if len(profiles) > 1 else ''} {listed(profiles, 'and')})" if profiles else ""
    parts = ", ".join(f"{at.unseen} of the {at.taps} taps of {at.branch} in stage {at.stage}" for at in found)
    kernels = "+".join(dict.fromkeys(str(at.branch) for at in found))
    return (
        f"note: the proxy {backbone.name}{which} does not measure {parts}: they never meet a pixel. "
        f"For the shares of all: skexplore block {kernels} --backbone {backbone.name}"
    )


def groups_note(space: Space, backbone: Backbone) -> str:
    """Return the warning that groups, which a space decides, do not act in a proxy; empty where they do."""
    if not (backbone.unit.depthwise and space.decides_groups):
        return ""
    if space.reference.unit.depthwise:
        return (
            f"note: groups do not act: the convolutions of the reference {space.reference.name} are depthwise"
        )
    return (
        f"note: groups do not act in the proxy {backbone.name}, whose convolutions are depthwise: blocks that differ "
        "in groups alone are one network there, and share its measurement, whatever they cost at the reference"
    )


def chosen_network(
    block: str | None,
    system: str | None,
    backbone: str | None,
    classes: int | None,
    in_channels: int | None,
    how: str = "a BLOCK such as k3+k3d2",
    reference: str | None = None,
) -> Architecture:
    """Return what a command was asked about: a block (given as ``how``) in a backbone, or a network of the paper.

    With a ``reference`` the block is written for it, and a backbone stands for it.
    """
    from skexplore.arch import (
        Architecture,
        canonical_at_reference,
        get_backbone,
        get_reference,
        stand_in,
        written_for,
    )
    from skexplore.export import read_block
    from skexplore.paper import get_system

    if (block is None) == (system is None):
        raise UserError(f"give either {how} or --system NAME")
    if system is None:
        if reference is None:  # written for the network in which it stands, where that has numbers of its own
            body = get_backbone("sknet50" if backbone is None else backbone)
            blocks = read_block(block or "", written_for(body))
        else:
            whole = get_reference(reference)
            body = whole if backbone is None else stand_in(get_backbone(backbone), whole)
            blocks = canonical_at_reference(read_block(block or "", whole), whole)
        return Architecture.of(blocks, body, classes=classes, in_channels=in_channels)
    known = get_system(system)
    for option, given in (("backbone", backbone), ("reference", reference)):
        if given is not None:
            raise UserError(f"--{option} {given!r}: {system} has its own, {known.backbone}; leave it out")
    return known.architecture(classes, in_channels)


def in_flops(macs: int) -> str:
    """Return multiply-adds in the unit that their size asks for."""
    if macs >= 10**9:
        return f"{macs / 1e9:.3f} GFLOPs"
    return f"{macs / 1e6:.2f} MFLOPs ({macs / 1e9:.3g} GFLOPs)"


def printable(text: str) -> str:
    """Return a text from outside without what would steer the terminal."""
    return "".join(letter for letter in text if letter.isprintable())


def run_settings(
    workers: int | None, time_limit: str | None, storage: str | None, data_dir: Path | None
) -> Run:
    """Return how a study is run by these options; raises ``UserError`` for a time that is none."""
    from skexplore.engine import Run
    from skexplore.plan import seconds_of

    limit = None if time_limit is None else seconds_of(time_limit)
    return Run(workers=workers, time_limit=limit, storage=storage, data_dir=data_dir, command=typed_command())


def watched(work: Callable[[Run], T], settings: Run, track: str | None = None) -> T:
    """Do ``work`` under a live display; the first Ctrl-C ends the epochs that are running, then exit 130.

    track: the tracker that hears of each training too.
    """
    from skexplore.cli.display import Reporter, error_console

    console = error_console()
    listeners: list[Callable[[Event], None]] = []
    if track is not None:
        from skexplore.tracking import StudyFollower, check_tracker

        listeners.append(StudyFollower(check_tracker(track), warn=console.print))
    with (
        interruptible(console.print, KEPT),
        INTERRUPTS.counted() as interrupts,
        Reporter(console) as show,
    ):
        listeners.append(show)

        def tell(event: Event) -> None:
            for each in listeners:
                each(event)

        return work(replace(settings, on_progress=tell, interrupts=interrupts))
    raise AssertionError  # the context managers let nothing pass


@contextmanager
def interruptible(say: Callable[[str], object], message: str) -> Iterator[None]:
    """Say ``message`` and exit 130 when the user interrupts, or has done so while modules were loaded."""
    try:
        INTERRUPTS.raise_again()
        yield
    except KeyboardInterrupt:
        say(message)
        raise typer.Exit(130) from None


def typed_command() -> str:
    """Return the command as typed, without a password that a storage URL may hold."""
    from skexplore.study import hide_password

    words = list(sys.argv[1:])
    for number, word in enumerate(words):
        if number and words[number - 1] == "--storage":
            words[number] = hide_password(word)
        elif word.startswith("--storage="):
            words[number] = f"--storage={hide_password(word.removeprefix('--storage='))}"
    return shlex.join(["skexplore", *words])


def said_time(seconds: float) -> str:
    """Return a time in the unit that reads best."""
    if seconds < 90:
        return counted(round(seconds), "second")
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


@contextmanager
def writable(folder: Path, advice: str = "choose another --out") -> Iterator[None]:
    """Turn the system's refusal to write under ``folder`` into a message."""
    try:
        yield
    except BrokenPipeError:  # of stdout: whoever reads has enough
        raise
    except OSError as error:
        place = error.filename2 or folder  # the file to be replaced, if that is what is refused
        raise UserError(f"{place}: cannot be written ({error.strerror}); {advice}") from None


def pictures(stem: Path, draw: Callable[[str], bytes], *, asked: bool | None) -> Iterator[Path]:
    """Write pictures beside ``stem``; if nobody ``asked``, the reason is a note, not an error."""
    from skexplore.files import write_atomic
    from skexplore.report import can_draw

    if asked is None and not can_draw():
        print("no pictures: they need a Chromium and pip install 'skexplore[picture]'", file=sys.stderr)
    elif asked is not False:
        try:
            for kind in ("svg", "png"):
                path = stem.with_name(f"{stem.name}.{kind}")
                write_atomic(path, draw(kind))
                yield path
        except UserError as error:
            if asked:
                raise
            print(f"no pictures: {error}", file=sys.stderr)
