"""The report's part on agreement: the worst of each pair, who is beyond the bound, figures of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports import figures, folder
from reports.parts import agreement
from reports.runfile import RunFile
from reports.schema import Agreement, Run


def line(block: str, backend: str, other: str, worst: float, bits: float = 20.0, **changes: Any) -> Agreement:
    content: dict[str, Any] = {
        "case": f"agree/{block}/forward/float32", "block": block, "direction": "forward", "dtype": "float32",
        "backend": backend, "other": other, "verdict": "AGREE" if worst <= 1 else "DIFFER", "examples": 4, "equal": 1,
        "worst_ratio": worst, "median_ratio": worst / 2, "worst_bits": bits, "median_bits": 24.0, "quantity": "y",
        "reproduce": f"{block} x=1x1x1x1",
    }  # fmt: skip
    return Agreement(**(content | changes))


@pytest.fixture
def file() -> RunFile:
    run = Run(
        experiment="agree",
        command="mcnbench agree a b",
        started="2026-01-02T03:04:05Z",
        machine={},
        versions={},
        git={},
    )
    lines = (
        line("relu", "a", "float64", 0.5, 22.0),
        line("relu", "b", "float64", 0.25, 23.0),
        line("relu", "a", "b", 0.5, 21.0),
        line("tanh", "a", "float64", 7.5, 3.0),
        line("tanh", "b", "float64", 0.75),
        line("tanh", "a", "b", 3.5, 2.0),
        line("add", "b", "float64", 0.0, verdict="UNSUPPORTED", examples=0, message="b: has no add"),
    )
    return RunFile(Path("agree.jsonl"), run, (), (), (), "complete", (), (), lines)


def test_a_row_per_pair_has_the_worst_of_its_blocks(file: RunFile) -> None:
    part = agreement.part([file])
    assert part is not None
    rows = {(r["backend"], r["other"]): r for r in part.table.to_dict("records")}
    assert rows["a", "b"]["worst_ratio"] == 3.5
    assert rows["a", "b"]["bits"] == 2.0
    assert rows["a", "b"]["worst block"] == "tanh"
    assert rows["a", "b"]["same"] == 0.25
    assert rows["b", "float64"]["blocks"] == 2, "what was refused does not count"
    assert part.headline == "Beyond its bound: a forward: tanh 7.5 times its bound."


def test_a_fault_is_told_of_its_backend_once(file: RunFile) -> None:
    part = agreement.part([file])
    assert part is not None
    assert list(part.problems) == [
        "tanh forward float32, a and float64: DIFFER, y by 7.5 bounds; reproduced by tanh x=1x1x1x1"
    ]


def test_the_figures_say_every_number(file: RunFile) -> None:
    part = agreement.part([file])
    assert part is not None
    svg = {drawing.key: figures.save(drawing.draw(), "svg").decode() for drawing in part.drawings}
    assert set(svg) == {"forward", "blocks"}
    for words in ("3 bits", "20 bits", "2 bits", "3.50", "7.50"):
        assert f">{words}<" in svg["forward"]
    assert ">0.75<" in svg["blocks"]


def test_a_run_file_makes_a_report(file: RunFile, tmp_path: Path) -> None:
    from mcnbench.runfile import Writer

    path = tmp_path / "agree.jsonl"
    with Writer.create(path, file.run) as writer:
        for each in file.agreements:
            writer.write(each)
    made = folder.contents([path])
    assert {"agreement.md", "agreement-forward.png", "agreement-blocks.svg", "agreements.csv"} <= made.keys()
    assert b"tanh x=1x1x1x1" in made["agreements.csv"]
    assert b"Do they agree?" in made["index.html"]
