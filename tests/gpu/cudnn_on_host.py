"""The cuDNN backend on a machine without a GPU or cuDNN: `mcnbench check tests/gpu/cudnn_on_host.py`.

Puts stand-ins in the place of CuPy, cuDNN's frontend and libcudnn. What runs is all of impl.cudnn but NVIDIA's code.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

assert not {"cupy", "cudnn"} & set(sys.modules), "the stand-ins must come first"
STANDIN = Path(__file__).with_name("standin")
CACHE = Path(tempfile.gettempdir()) / "mcnbench-host-kernels"


def _library() -> Path:
    """A folder with nvidia/cudnn/lib/libcudnn.so.9, as NVIDIA's package has it, made of the stand-in."""
    source = STANDIN / "libcudnn.cpp"
    folder = CACHE / hashlib.sha256(source.read_bytes()).hexdigest()[:32]
    path = folder / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = f"{path}.{os.getpid()}"
        command = ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-o", partial, str(source)]
        subprocess.run(command, check=True)
        os.replace(partial, path)
    return folder


sys.path[:0] = [str(STANDIN), str(_library())]
os.environ["CUPY_CACHE_DIR"] = str(CACHE)

from impl.cudnn import *  # noqa: E402, F403  (the stand-ins must be chosen first)
