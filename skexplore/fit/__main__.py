"""``torchrun --nproc-per-node N -m skexplore.fit ...``: what ``skexplore fit ...`` does, in each of its processes."""

import sys
from importlib.metadata import entry_points

if __name__ == "__main__":
    (command,) = entry_points(group="console_scripts", name="skexplore")
    sys.argv[1:1] = ["fit"]
    command.load()()
