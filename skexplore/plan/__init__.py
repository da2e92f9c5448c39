"""What a user asks for, checked before anything is trained: searches, own trainings, ablations, confirmations.

Each request is turned into one ``Plan``: the specification of a study and what is to be trained beside its
search. Files that define ablations are read here, and their factors are turned into variants.
May import: ``study``, ``space``, ``paper``, ``arch`` and what is below. No torch.
Begin with ``plan_search``, ``plan_ablation`` and ``plan_confirmation``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
