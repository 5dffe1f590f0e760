"""The script that measures the harness's own cost runs, and names what it compared."""

from __future__ import annotations

import re

from click.testing import CliRunner

from mcnbench.measure.overhead import command


def test_it_prints_both_medians_and_their_paired_ratio(tiny: str) -> None:
    arguments = ["-n", tiny, "--batch", "2", "--blocks", "6", "--peer", "numpy"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "Tiny, batch 2, numpy beside numpy: 6 blocks of 4 steps of each kind" in done.output
    bare, reported = (float(ms) for ms in re.findall(r"([\d.]+) ms", done.output))
    assert bare > 0
    assert reported > 0
    assert re.search(r"reported / bare: \d\.\d{4} \[\d\.\d{4}, \d+\.\d{4}\]", done.output)
