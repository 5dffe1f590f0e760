"""The CuPy backend on a machine without a GPU: `mcnbench check tests/gpu/cupy_on_host.py`.

Puts the stand-in for CuPy in CuPy's place, so that impl.cupy_cuda and its kernels run as they are.
"""

import os
import sys
import tempfile
from pathlib import Path

assert "cupy" not in sys.modules, "the stand-in must come before CuPy"
sys.path.insert(0, str(Path(__file__).with_name("standin")))
os.environ["CUPY_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "mcnbench-host-kernels")

from impl.cupy_cuda import *  # noqa: E402, F403  (CuPy must be chosen first)
