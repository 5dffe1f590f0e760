"""Describing blocks and networks must not wait for PyTorch (1.3 s here): it is imported when an oracle runs."""

from __future__ import annotations

import subprocess
import sys

LIGHT = """
import sys
from mcnbench import blocks
for name in blocks.names():
    blocks.block(name)
    heavy = [m for m in ("torch", "pandas", "matplotlib", "scipy", "hypothesis") if m in sys.modules]
    assert not heavy, f"mcnbench.blocks.{name} imports {heavy}"
"""


def test_the_blocks_descriptions_import_neither_torch_nor_another_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
