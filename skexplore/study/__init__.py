"""What is kept: the specification of a study, the records of its trainings, and where they are stored.

A study is a folder with an Optuna database while it lives, and ``records.jsonl`` once archived; both are read
to the same ``Study``. Recipes, splits and profiles say how a network is trained; a design names the variants of
an ablation. What the errors of a search say of its blocks, and so which is best, a ``Study`` says itself (``belief``).
May import: ``surrogate``, ``space``, ``paper``, ``arch`` and what is below. No torch; Optuna only in ``database`` and
``live``: an archive is read without it.
Begin with ``Study``, ``Record`` and ``load_study``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
