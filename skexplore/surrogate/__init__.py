"""What is believed of blocks that were hardly trained, or not at all: seed noise known before, and a model of errors.

May import: ``study``, ``space``, ``arch`` and what is below. No torch.
Begin with ``Model``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
