"""The ``skexplore`` command: one file for each group of commands. Results go to stdout, progress to stderr.

A file with an ``app`` (a ``typer.Typer``) is found by ``app.py``: the commands of an ``app`` with a ``name`` stand
under that name, those of one without beside all others. The only room that prints and the only one with typer and
rich. Heavy imports are inside commands, so that ``skexplore --help`` loads no torch.
May import: everything below. Begin with ``main``.
"""
