"""A network trained to be used: the paper's recipe or a modern one, on images of any size, on one device or several.

``images`` streams what is trained on, the same images whatever reads them; ``synced`` makes several processes one
training; ``loop`` makes its updates and survives a kill; ``run`` does all of it and ``folder`` leaves what is handed
over. ``python -m skexplore.fit`` is the command, for ``torchrun``.
May import: ``export``, ``engine``, ``training``, ``nn``, ``study`` and what is below.
Begin with ``fit`` and ``FitRequest``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
