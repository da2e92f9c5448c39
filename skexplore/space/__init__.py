"""Search spaces: a base block, decisions that change it, and exact counting of what they make.

A space is read from strict YAML. Its decisions are always asked, conditions act afterwards, and different
choices may mean one architecture. A space is therefore counted, drawn from and enumerated as a union of boxes,
and a block is written back as the choices that mean it.
May import: ``arch`` and what is below. No torch, optuna, pandas or plotly.
Begin with ``Space``, ``summarise`` and ``Candidates``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
