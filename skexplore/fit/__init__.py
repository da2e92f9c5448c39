"""A network trained for real: the paper's recipe or a modern one, on images of any size, on one device or several.

``recipes`` says how, ``images`` streams what is trained on, the same images whatever reads them; ``synced`` makes
several processes one training; ``loop`` makes its updates and survives a kill, and ``run`` leaves a folder to hand over.
May import: ``export``, ``training``, ``plan``, ``nn``, ``study`` and what is below.
Begin with ``fit`` and ``FitRecipe``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
