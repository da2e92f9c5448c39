"""Architectures as data: blocks, the backbones around them, what they cost, and their identity.

A block is written in a notation (``k3+k3d2``) and has one canonical form. A backbone is stem, stages and head.
From both come params, multiply-adds and activations in closed form, exact and in microseconds, and the hashes
by which a network is known. Drawings and timm's arguments of a block are made here too, since they need nothing
but the block.
May import: ``files``, ``shipped``, ``templates``, ``errors``. No torch, optuna, pandas or plotly.
Begin with ``Architecture``, ``SKBlock`` and ``Backbone``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
