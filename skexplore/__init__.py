"""Neural architecture search and ablation explorer for Selective Kernel (SK) blocks.

In Python: ``cost("k3+k3d2", "sknet50")``, ``Architecture.of("k3", gate="se").cost_by_stage()``, ``build("k3+k3d2",
"sknet29")``, ``Space.load("sk-paper")``, ``load_block("block.json")``, ``place("k3+k3d2")``,
``search(budget_gflops=4.5)``, ``ablate("table7")``, ``confirm(name)``, ``load_study(name).trials()``,
``load_table(name)``, ``load_timm(model)``, the modules ``SKConv`` and ``SKUnit``, and ``with record_attention(model)
as attention``. Each says in its docstring what it takes and returns. Names are loaded when first asked for: ``import
skexplore`` loads no torch.

An architecture (``arch``) from the ``paper`` or a ``space`` becomes a ``study``; ``nn`` and ``training`` train
it; ``plan`` says what is asked, ``engine`` does it, ``analysis`` judges, ``report`` shows, ``export`` hands
out, ``bench`` plays, ``cli`` asks.
"""

from typing import Any

import lazy_loader

from skexplore.errors import NO_MEMORY, lacks_memory

__version__ = "0.2.0"
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ImportError as error:
        if lacks_memory(error):
            raise ImportError(f"{NO_MEMORY} ({error})") from error
        raise
