"""`mcnbench run cudnn-plans` on the stand-ins, whose plans are known to be exact, TF32, or not repeatable."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcnbench.measure import cudnn_plans
from reports import runfile, schema

CONTENT = {"kind": "cudnn-plans", "networks": ["tests/data/chain.toml"], "batch": 3, "repeats": 3}


def run(tmp_path: Path, **changed: object) -> list[schema.Measurement]:
    cudnn_plans.run("plans", CONTENT | changed, {}, False, tmp_path / "plans.jsonl")
    return list(runfile.read(tmp_path / "plans.jsonl").measurements)


def test_every_plan_is_timed_judged_and_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(tmp_path)
    names = {m.case.rsplit("/", 1)[1] for m in found}
    assert names == {"eng5_k1=0", "eng3", "eng1_k2=6", "eng0"}  # neither the compiled one nor the one too big
    assert {m.case.split("/")[3] for m in found} == {"fprop", "dgrad", "wgrad"}
    for m in found:
        assert m.verified.holds
        assert len(m.samples_ns) == 3
        plan = m.details["plan"]
        assert m.details["precision"] == ("tf32" if plan == "eng5_k1=0" else "float32")
        assert m.details["repeatable"] is (plan != "eng3")
        assert m.details["workspace"] == (131 if plan == "eng1_k2=6" else 0)
    tf32, plain = ([m.verified.error_ratio for m in found if m.details["plan"] == p] for p in ("eng5_k1=0", "eng0"))
    assert min(e for e in tf32 if e is not None) > 0
    assert max(e for e in plain if e is not None) < 1
    assert "same bits" in capsys.readouterr().out


def test_tf32_does_not_pass_for_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held to float32's bound, the plan that rounds to TF32 is WRONG, and the run ends with 1."""
    monkeypatch.setitem(cudnn_plans.PRECISIONS, "tf32", cudnn_plans.PRECISIONS["float32"])
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, directions=["wgrad"])
    assert ended.value.code == 1
    found = runfile.read(tmp_path / "plans.jsonl").measurements
    assert {m.details["plan"] for m in found if not m.verified.holds} == {"eng5_k1=0"}
