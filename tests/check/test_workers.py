"""A backend that crashes, hangs, runs out of memory or ends the process: a verdict, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcnbench import case
from mcnbench.errors import BadInput
from mcnbench.verdict import Verdict
from suites.properties.pool import Request, start

BAD = """
import ctypes
import os
import numpy as np

def relu(x, *, slope):
    if len(x) > 1:
        ctypes.string_at(0)
    return np.where(x > 0, x, x.dtype.type(slope) * x), None

def tanh(x):
    while len(x) > 1:
        pass
    return np.tanh(x), None

def sigmoid(x):
    hog = [np.empty(1 << 27) for _ in range(64)]

def dropout(x, mask):
    print("about to leave", flush=True)
    os._exit(7)

def add(*xs):
    print("a print does not disturb")
    return sum(xs[1:], xs[0].copy()), lambda dy: tuple(dy.copy() for _ in xs)
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Verdict]]:
    path = tmp_path_factory.mktemp("bad") / "bad_blocks.py"
    path.write_text(BAD)
    pool = start(str(path), workers=2, case_seconds=5)
    blocks = ["relu", "tanh", "sigmoid", "dropout", "conv2d", "add"]
    futures = pool.submit([Request(block, "bounded", "float32", 20) for block in blocks])
    futures |= pool.submit([Request("tanh", name, "float32", 20) for name in ("shape", "nan")])
    yield {f"{r.block} {r.property}": future.result() for r, future in futures.items()}
    pool.close()


def test_a_segmentation_fault_is_an_error_with_the_users_line_and_the_case(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["relu bounded"]
    assert verdict.verdict == "ERROR"
    assert "a segmentation fault (SIGSEGV)" in verdict.message
    assert 'bad_blocks.py", line 8 in relu' in verdict.message
    assert verdict.reproduce is not None
    assert case.parse(verdict.reproduce).shapes[0][0] > 1  # type: ignore[index]  # relu's x is never None


def test_a_hang_is_an_error_and_after_two_the_block_is_left(verdicts: dict[str, Verdict]) -> None:
    tried = [verdicts[f"tanh {name}"] for name in ("bounded", "shape", "nan")]
    assert [v.verdict for v in tried] == ["ERROR"] * 3
    assert sum("hangs: no answer in 5 s" in v.message for v in tried) >= 2
    assert all("hangs" in v.message or "not tried: 2 other properties of tanh hung" in v.message for v in tried)


def test_running_out_of_memory_is_an_error_and_leaves_the_machine_alone(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["sigmoid bounded"]
    assert verdict.verdict == "ERROR"
    assert "MemoryError" in verdict.message


def test_ending_the_process_is_an_error_with_the_last_words(verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts["dropout bounded"]
    assert verdict.verdict == "ERROR"
    assert verdict.message == "ends the process with exit status 7; it said: about to leave"


def test_the_rest_goes_on(verdicts: dict[str, Verdict]) -> None:
    assert verdicts["add bounded"].verdict == "HOLDS", verdicts["add bounded"]
    assert verdicts["conv2d bounded"].verdict == "UNSUPPORTED"
    assert verdicts["conv2d bounded"].message.endswith("bad_blocks.py has no conv2d")


def test_a_backend_that_ends_the_process_on_import_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leaves.py"
    path.write_text("import os\nprint('no licence', flush=True)\nos._exit(1)\n")
    with pytest.raises(BadInput, match=r"leaves\.py' ends the process .* with exit status 1; it said: no licence"):
        start(str(path), 1)
