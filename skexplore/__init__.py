"""Neural architecture search and ablation explorer for Selective Kernel (SK) blocks."""

__version__ = "0.1.0"
