"""The table of the gate's trials, beside pytest-benchmark's own rule."""

from __future__ import annotations

from typing import Any

from reports import frames, schema, text
from reports.parts import gate
from tests.reports.conftest import Made


def trial(number: int, slowdown: float, decision: Any, base_ns: int | None, head_ns: int | None) -> schema.Trial:
    return schema.Trial(
        case="gate-power/small",
        backend="numpy",
        trial=number,
        slowdown=slowdown,
        decision=decision,
        effect=None,
        standard_error=None,
        replicates=2,
        launches=1,
        seconds=8.0,
        median_ns={"base": base_ns, "head": head_ns},
        load=0.0,
    )


def test_what_the_gate_decided_and_what_pytest_benchmark_would_have_said(make_run: Made) -> None:
    path = make_run(
        trial(0, 0.0, "SAME", 100, 106),  # 6% apart in the same minutes
        trial(2, 0.0, "AMBIGUOUS", 120, 120),  # and 20% from the base of the trial before
        trial(3, 0.0, "SAME", None, None),
        trial(1, 0.1, "REGRESSED", 100, 104),
        experiment="gate-power",
    )
    part = gate.power(frames.read([path]))
    assert part is not None
    none, some = part.table.to_dict("records")
    assert (none["slowdown"], none["trials"], none["SAME"], none["AMBIGUOUS"], none["REGRESSED"]) == (0.0, 3, 2, 1, 0)
    assert (none["median:5% fails"], none["median:5% fails, two runs"]) == (1, 1)
    assert (some["slowdown"], some["REGRESSED"], some["median:5% fails"]) == (0.1, 1, 0)
    assert "IMPROVED" not in text.as_text(part.table)
