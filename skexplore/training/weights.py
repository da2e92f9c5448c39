"""The weights of a finished training on disk, as safetensors: plain arrays by name, never pickles."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from skexplore.errors import UserError
from skexplore.files import write_atomic


def save_weights(path: Path, state: dict[str, Tensor]) -> str:
    """Write a state dict, atomically and on the CPU, and return the SHA-256 of the file.

    Raises ``OSError`` as the system does.
    """
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
    write_atomic(path, content)
    return sha256(content).hexdigest()


def load_weights(path: Path, expected: str = "") -> tuple[bytes, dict[str, Tensor]]:
    """Return the bytes of ``path`` and the state dict in them; the file may be another one a moment later.

    ``expected`` is the SHA-256 of the file, empty if it is not known. Raises ``UserError`` if the file is missing,
    damaged or another one.
    """
    try:
        content = path.read_bytes()
        if expected and sha256(content).hexdigest() != expected:
            raise UserError(
                f"{path}: not the weights that the training left (their SHA-256 is not the one in its record): "
                "altered, damaged or of another training; put the original back, or move the file away to go on "
                "without weights"
            )
        state: dict[str, Tensor] = load(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise UserError(f"{path}: not a safetensors file, or damaged ({error})") from None
    return content, state
