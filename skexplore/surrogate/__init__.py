"""What is believed of blocks that were hardly trained, or not at all: a model of errors with known noise.

May import: ``space``, ``arch`` and what is below. No torch; numpy.
Begin with ``Model``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
