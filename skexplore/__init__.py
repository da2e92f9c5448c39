"""Neural architecture search and ablation explorer for Selective Kernel (SK) blocks.

In Python: ``cost("k3+k3d2", "sknet50")``, ``Architecture.of("k3", gate="se").cost_by_stage()``,
``build("k3+k3d2", "sknet29")``, ``Space.load("sk-paper")``, ``load_block("block.json")``, ``place("k3+k3d2")``,
``search(budget_gflops=4.5)``, ``ablate("table7")``, ``confirm(name)``, ``load_study(name).trials()``, the modules
``SKConv`` and ``SKUnit``, and ``with record_attention(model) as attention``. Each says in its docstring what it
takes and returns. Names are loaded when first asked for: ``import skexplore`` loads no torch.

An architecture (``arch``) from the ``paper`` or a ``space`` becomes a ``study``; ``nn`` and ``training`` train
it; ``plan`` says what is asked, ``engine`` does it, ``analysis`` judges, ``report`` shows, ``export`` hands
out, ``cli`` asks.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
