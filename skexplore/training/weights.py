"""The weights of a finished training on disk, as safetensors: plain arrays by name, never pickles."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from skexplore.errors import UserError
from skexplore.files import write_atomic


def save_weights(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state dict, atomically and on the CPU; raises ``OSError`` as the system does."""
    write_atomic(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict in ``path``; raises ``UserError`` if it is missing or damaged."""
    try:
        state: dict[str, Tensor] = load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or damaged ({error})") from None
    return state
