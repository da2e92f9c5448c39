"""The SKNet paper: its networks by name, its tables as printed, and where a block stands among their rows.

Every number that the paper prints is in ``published.csv``; every network of its tables is one entry in
``networks``, put together from shared parts and never tuned to fit. ``accounting`` sets our count of each row
beside the printed one.
May import: ``arch`` and what is below. No torch, optuna, pandas or plotly.
Begin with ``get_system``, ``place`` and ``reproduce``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
