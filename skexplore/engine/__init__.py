"""What decides: proposals from Optuna's samplers, which trials are trained, and the only writer of a study.

The coordinator asks for a proposal, looks whether it keeps the budget and was measured before, hands it to the
pool, and writes what comes back. A search that is resumed draws what an uninterrupted one would have drawn.
May import: ``plan``, ``surrogate``, ``training``, ``study``, ``nn`` and what is below.
Begin with ``search``, ``Coordinator`` and ``State``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
