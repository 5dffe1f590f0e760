"""Finding a backend by name, module and file, and the sentences for what cannot be found or imported."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import mcnbench
from mcnbench.errors import BadInput

OWN = """
import numpy as np
from beside import ZERO

accuracy = "normwise"
precision = {"float32": "tf32"}

def relu(x, *, slope=0.0):
    return np.where(x > ZERO, x, slope * x), lambda dy: (np.where(x > ZERO, dy, slope * dy),)
"""


def test_a_file_is_a_backend_and_imports_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("ZERO = 0\n")
    path = tmp_path / "own_blocks.py"
    path.write_text(OWN)
    backend = mcnbench.backend(str(path))
    y, pullback = backend.relu(np.array([-1.0, 2.0]))
    assert y.tolist() == [0, 2]
    assert pullback(np.array([3.0, 4.0]))[0].tolist() == [0, 4]
    assert backend.blocks() == ("relu",)
    assert backend.block("conv2d") is None
    assert backend.accuracy == "normwise"
    assert backend.precision("float32") == "tf32"
    assert backend.precision("float64") == "float64"


def test_a_module_is_a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_pkg").mkdir()
    (tmp_path / "my_pkg" / "blocks.py").write_text("def version():\n    return 'mine 1.2'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert mcnbench.backend("my_pkg.blocks").version() == "mine 1.2"
    sys.modules.pop("my_pkg.blocks")
    sys.modules.pop("my_pkg")


def test_an_installed_package_registers_a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fastconv.py").write_text("class blocks:\n    version = staticmethod(lambda: 'fastconv 3')\n")
    info = tmp_path / "fastconv-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fastconv\nVersion: 3\n")
    (info / "entry_points.txt").write_text("[mcnbench.backends]\nfast = fastconv:blocks\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert mcnbench.backend("fast").version() == "fastconv 3"
    sys.modules.pop("fastconv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def relu(x):\n  return (\n", "SyntaxError"),
        ("raise RuntimeError('no device')\n", "RuntimeError: no device"),
    ],
)
def test_a_file_that_does_not_import_says_why(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "broken_blocks.py"
    path.write_text(content)
    with pytest.raises(BadInput, match="does not import") as caught:
        mcnbench.backend(str(path))
    assert said in str(caught.value)
    assert str(path) not in sys.modules


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown backend 'nunpy'; did you mean 'numpy'"):
        mcnbench.backend("nunpy")
