"""From records to tables and claims: pure functions, nothing drawn and nothing written.

Fronts and noise of a search, effects of an ablation (Dunnett's test, order, power), what a confirmation says,
groups of repeated searches, importances of decisions, and the checklist of honest reporting.
May import: ``surrogate``, ``study``, ``space``, ``paper``, ``arch`` and what is below. No torch.
Begin with ``pareto_table``, ``effects`` and ``checklist``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
