"""Tables as LaTeX: what is escaped, and that no table is wider or longer than its page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import reports
from reports import latex, tables
from tests.reports.conftest import Made, measurement

BACKENDS = ["numpy", "numpy-winograd", "torch", "jax", "onnxruntime", "openvino", "tensorflow"]
ANSWERS = ["refused", "floor (matconvnet, tensorflow, theano)", "neither: itself alone", "–"]


def meanings() -> pd.DataFrame:
    """A column of words for each of seven backends, and a line for a terminal."""
    rows = [
        {"probe": f"probe-{i}", "question": "average pooling at the border divides by the pixels of the image, or with"}
        | {name: ANSWERS[(i + j) % len(ANSWERS)] for j, name in enumerate(BACKENDS)}
        | {"case": "local_response_norm x=1x3x1x1 window=3 kappa=1.0 alpha=1.0 beta=1.0 data=quantised seed=1"}
        for i in range(30)
    ]
    return pd.DataFrame(rows)


def pairs(count: int) -> pd.DataFrame:
    return pd.DataFrame({"block": "conv2d", "backend": BACKENDS[0], "examples": range(count), "worst_ratio": 0.5})


def test_latex_escapes_what_latex_reads(make_run: Made) -> None:
    table = tables.training_speed(reports.load([make_run(measurement("alexnet", r"a_b\input{x}&", [1.0]))]))
    written = latex.as_latex(table).replace(r"\allowbreak{}", "")
    assert r"a\_b\textbackslash{}input\{x\}\&" in written
    assert r"\toprule" in written


def test_a_small_table_floats() -> None:
    written = latex.as_latex(pairs(3), "Pairs")
    assert written.startswith("% Needs the package booktabs.\n\\begin{table}\n\\centering\n\\caption{Pairs}\n")
    assert r"\begin{tabular}{llrr}" in written
    assert "longtable" not in written


def test_a_long_table_goes_on_and_says_its_headings_on_every_page() -> None:
    written = latex.as_latex(pairs(900), "Pairs")
    assert r"\begin{longtable}{llrr}" in written
    assert written.count("block & backend & examples &") == 2
    assert "landscape" not in written
    assert written.count("conv2d & numpy & ") == 900, "another page may begin with any row"


def test_a_wide_table_is_turned_and_its_columns_fill_the_line() -> None:
    written = latex.as_latex(meanings(), "What do they mean?")
    assert r"\begin{landscape}" in written
    shares = [float(share) for share in re.findall(r"p\{([\d.]+)\\linewidth\}", written)]
    assert len(shares) == 9, "the line for a terminal is left to the CSV"
    assert 0.8 < sum(shares) <= 1
    assert min(shares) > 0.04


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed: apt-get install texlive")
@pytest.mark.parametrize("table", [meanings(), pairs(3), pairs(90)], ids=["wide", "small", "long"])
def test_latex_sets_it_on_the_page(tmp_path: Path, table: pd.DataFrame) -> None:
    (tmp_path / "table.tex").write_text(latex.as_latex(table, "50% of_them"))
    packages = r"\usepackage{array,booktabs,longtable,pdflscape}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}\input{{table.tex}}\end{{document}}"
    for _ in range(2):  # longtable measures at the first
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-jobname=out", document],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert max(too_wide, default=0.0) < 6, "the space between two columns"
