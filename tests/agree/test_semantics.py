"""The table of meanings: answers told apart, found of implementations that mean otherwise, compared over runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from frameworks import needs

import mcnbench
from mcnbench import cli
from mcnbench.backends import Backend
from reports import runfile
from reports.parts import semantics as semantics_part
from suites.agreement import semantics
from suites.agreement.probes import PROBES, TELLS_APART, Probe

BY_KEY = {probe.key: probe for probe in PROBES}


def answer(backend: Backend, key: str) -> str:
    probe = BY_KEY[key]
    got = semantics.ask(backend, probe.line, probe.words)
    return got if isinstance(got, str) else probe.answer(got[probe.quantity])


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.key)
def test_answers_are_apart(probe: Probe) -> None:
    """A result that gives one answer does not give another."""
    found = {name: e for name, e in probe.answers(probe.case).items() if isinstance(e, np.ndarray)}
    for name, expected in found.items():
        assert probe.answer(expected.astype(np.float32)) == name
        for other, result in found.items():
            if other != name and result.shape == expected.shape:
                apart = ~np.isclose(expected, result, rtol=50 * TELLS_APART, atol=0, equal_nan=True)
                assert apart.any(), (name, other)


@pytest.mark.parametrize(
    ("key", "ours", "pytorch"),
    [
        ("lrn-alpha", "sum", "mean"),  # local_response_norm in mcnbench/blocks; torch.nn.functional's documentation
        ("lrn-even", "higher", "lower"),
        ("lrn-kappa", "as given", "as given"),
        ("avg-divisor", "image", "padded"),
        ("rounding", "floor", "floor"),
        ("ceil-beyond", "left out", "left out"),
        ("ties", "rows", "rows"),
        ("max-nan", "propagates", "propagates"),
        ("relu-kink", "the slope", "the slope"),
        ("filters", "correlated", "correlated"),
        ("transposed", "those of the gradient", "those of the gradient"),
        ("variance", "biased, sqrt(variance + epsilon)", "biased, sqrt(variance + epsilon)"),
        ("softmax-overflow", "none", "none"),
        ("subnormal-add", "kept", "kept"),
        ("empty-loss", "0", "0"),
        ("same-stride", "no padding same", None),
    ],
)
def test_what_ours_and_pytorchs_mean(key: str, ours: str, pytorch: str | None) -> None:
    assert answer(mcnbench.backend("numpy"), key) == ours
    said = answer(mcnbench.backend("torch"), key)
    assert said == pytorch if pytorch else "not supported for strided" in said


@needs("jax")
def test_what_jax_has_its_own_meaning_of() -> None:
    """Documented: lax.conv_transpose does not turn its filters; leaky_relu is x where x >= 0."""
    backend = mcnbench.backend("jax")
    assert answer(backend, "transposed") == "turned by 180 degrees"
    assert answer(backend, "relu-kink") == "1"
    assert answer(backend, "same-stride") == "more at the end"
    assert answer(backend, "lrn-alpha") == semantics.NONE


@needs("onnxruntime")
def test_what_onnx_means() -> None:
    """The specification: LRN divides alpha by the size, AveragePool does not count padding unless asked."""
    backend = mcnbench.backend("onnxruntime")
    assert answer(backend, "lrn-alpha") == "mean"
    assert answer(backend, "avg-divisor") == "image"
    assert answer(backend, "same-even") == "more at the end"


def test_other_meanings_are_found(tmp_path: Path) -> None:
    path = tmp_path / "otherwise.py"
    path.write_text(
        """
import numpy as np
from impl import numpy_cpu as own

def max_pool2d(x, *, window, stride, padding, ceil_mode):
    y, pull = own.max_pool2d(np.nan_to_num(x, nan=-9e9), window=window, stride=stride, padding=padding, ceil_mode=True)
    return y, lambda dy: (dy * (x == y) / (x == y).sum(),)

def batch_norm(x, gain, bias, *, epsilon, moments):
    n = x[:, 0].size
    y, pull = own.batch_norm(x, gain, bias, epsilon=epsilon * (n - 1) / n, moments=moments)
    return y * np.float32(np.sqrt((n - 1) / n)), pull

def conv2d(x, w, b=None, **options):
    return own.conv2d(x, w[:, :, ::-1, ::-1].copy(), b, **options)

def relu(x, *, slope):
    return np.maximum(np.nan_to_num(x), 0), lambda dy: (dy * (x >= 0),)
"""
    )
    backend = mcnbench.backend(str(path))
    assert answer(backend, "rounding") == "ceil"
    assert answer(backend, "ties") == "shared"
    assert answer(backend, "max-nan") == "ignored"
    assert answer(backend, "filters") == "flipped"
    assert answer(backend, "relu-nan") == "0"
    assert answer(backend, "relu-kink").startswith("otherwise: "), "a slope that is not applied"
    assert answer(backend, "lrn-alpha") == semantics.NONE


def test_a_change_since_another_run_is_shown(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    ran = CliRunner().invoke(cli.mcnbench, ["agree", "numpy", "torch", "--semantics", "--out", str(first)])
    assert ran.exit_code == 0, ran.output
    assert "mean (caffe, pytorch)" in ran.output
    lines = runfile.read(first).semantics
    assert len(lines) == 2 * len(PROBES)
    older = [json.loads(line) for line in first.read_text().splitlines()]
    for line in older:
        if line.get("probe") == "lrn-alpha" and line["backend"] == "torch":
            line |= {"answer": "sum", "receipt": "PyTorch 0.1"}
    first.write_text("".join(json.dumps(line) + "\n" for line in older))
    command = ["agree", "numpy", "torch", "--semantics", "--against", str(first), "--out", str(second)]
    again = CliRunner().invoke(cli.mcnbench, command)
    assert again.exit_code == 1
    part = semantics_part.part([runfile.read(first), runfile.read(second)])
    assert part is not None
    assert len(part.table) == len(PROBES)
    row = next(row for row in part.table.to_dict("records") if row["case"] == BY_KEY["lrn-alpha"].line)
    assert (row["numpy"], row["torch"]) == ("sum (matconvnet, tensorflow, theano)", "mean (caffe, pytorch)")
    assert part.problems[0].startswith("torch, local response normalisation: alpha multiplies: sum (PyTorch 0.1), now")
    assert "CHANGED torch, local response normalisation: alpha multiplies: sum (PyTorch 0.1)" in again.output
    assert "mcnbench agree torch --probe lrn-alpha" in again.output
    assert f"1 of {2 * len(PROBES)} answers are not what they were" in again.output


def test_one_question_of_one_backend(tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    ran = CliRunner().invoke(cli.mcnbench, ["agree", "torch", "--probe", "lrn-even", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert [(line.probe, line.answer) for line in runfile.read(out).semantics] == [("lrn-even", "lower")]
    assert "1 question in" in ran.output
    assert ran.output.count("1 thread\n") == 1, "the receipt of torch, in a process with one"
    wrong = CliRunner().invoke(cli.mcnbench, ["agree", "torch", "--probe", "lrn-evn"])
    assert "did you mean 'lrn-even'" in str(wrong.exception)
