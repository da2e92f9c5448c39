"""The ``skexplore`` command: its groups of commands, its exit codes, and how it ends."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

import skexplore.cli
from skexplore.cli.common import GFLOPS, HEADINGS
from skexplore.cli.interrupts import INTERRUPTS
from skexplore.errors import NO_MEMORY, StudyError, UserError, lacks_memory

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

REST = "More"
MOST_HELP = 200  # characters of a command's first sentence
# files of this room that hold no group of commands
HELPERS = ("app", "bar", "bench_search", "common", "completion", "display", "following", "interrupts")
# as the help lists them
FIRST = ("search", "studies", "ablate", "compare", "signal", "blocks", "systems", "space", "data", "bench")


class Grouped(TyperGroup):
    """Lists commands under the headings that they were given (``rich_help_panel``), those without one last."""

    def format_commands(self, _: Context, formatter: HelpFormatter) -> None:
        """Write a section for each heading, names in one column throughout."""
        width = max(map(len, self.commands))
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*HEADINGS, REST)}
        for name, command in self.commands.items():
            heading = getattr(command, "rich_help_panel", REST)
            rows = sections[heading if heading in HEADINGS else REST]
            rows.append((name.ljust(width), command.get_short_help_str(limit=MOST_HELP)))
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


app = typer.Typer(
    cls=Grouped,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=f"Neural architecture search for Selective Kernel (SK) blocks. {GFLOPS}",
)


def main() -> None:
    """Run the command line: exit 0 done, 1 a check failed, 2 the user's mistake, 130 interrupted."""
    try:
        try:
            with INTERRUPTS.heard():
                app(prog_name="skexplore")
        finally:
            print(end="", flush=True)  # if it cannot be written that is known here, not when Python has ended
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except StudyError as error:
        print(f"ended: {error}", file=sys.stderr)
        sys.exit(1)
    except (ImportError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        print(f"ended: {NO_MEMORY} ({error})", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or not _output_fails():  # of a file, and not of stdout
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes as it ends
        if not isinstance(error, BrokenPipeError):  # whoever reads has enough
            print(f"error: the output cannot be written ({error.strerror})", file=sys.stderr)
        sys.exit(1)


def _output_fails() -> bool:
    """Whether stdout takes not even one more line; without a stdout, print does nothing."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def _version(wanted: bool) -> None:
    if wanted:
        from skexplore import __version__

        print(f"skexplore {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _add_groups() -> None:
    """Add the ``app`` of every other file of this room; those that ``FIRST`` does not name come last, by name."""
    found = {module.name for module in pkgutil.iter_modules(skexplore.cli.__path__)}.difference(HELPERS)
    for name in [*FIRST, *sorted(found.difference(FIRST))]:
        group: typer.Typer = importlib.import_module(f"skexplore.cli.{name}").app
        app.add_typer(group, rich_help_panel=group.rich_help_panel)  # Typer loses the group's own


_add_groups()

if __name__ == "__main__":
    main()
