"""What a processor or GPU calls itself: errors of a training and times depend on it. Asking for a name loads torch."""

from __future__ import annotations

import platform
from pathlib import Path


def cpu_model() -> str:
    """Return the model of the processor and which of its instructions torch uses: errors depend on both."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = next(iter(models), "") or platform.processor() or platform.machine()
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def gpu_model(device: str) -> str:
    """Return the model and capability of a GPU such as ``cuda:0``."""
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, sm_{major}{minor}"
