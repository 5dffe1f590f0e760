"""What the page, its figures and its sentences say of the parts, without a browser."""

from __future__ import annotations

import math
from typing import Any, get_args

import pandas as pd
import pytest

from mcnbench.compare.result import Verdict as Compared
from reports import figures, folder, frames, page, published, schema, text
from reports.parts import agreement as agreed
from reports.parts import gate, parts, trajectories
from tests.reports.conftest import Made, agreement, measurement, training


@pytest.mark.parametrize("column", ["verdict", "word"])
def test_every_word_has_its_own_style_and_an_unknown_one_has_none(column: str) -> None:
    words = {"HOLDS": "good", "AGREE": "good", "SAME": "good", "IMPROVED": "good", "KILLED": "good"}
    words |= {"AMBIGUOUS": "", "UNSUPPORTED": "", "PERHAPS": ""}
    known = {*get_args(schema.Verdict), *get_args(Compared), "KILLED", "SURVIVED"}
    for line in (schema.Agreement, schema.StepAgreement):
        known |= {*get_args(line.model_fields["verdict"].annotation)}
    table = pd.DataFrame({"backend": "numpy", column: [*known, "PERHAPS"]})
    for _, cell in page.rows(table):
        assert cell.style == words.get(cell.shown, "bad"), cell.shown


def test_what_is_missing_stands_as_its_column_does_and_is_sorted_last() -> None:
    table = pd.DataFrame({"network": "n", "backend": ["numpy", math.nan], "seconds": [1.0, math.nan]})
    ((_, name, time), (_, no_name, no_time)) = page.rows(table)
    assert (name.style, no_name.style, no_name.shown, no_name.key) == ("", "", text.NOTHING, "")
    assert (time.style, no_time.style, no_time.shown, no_time.key) == ("number", "number", text.NOTHING, "")


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        ("off", -0.001, "0%"),
        ("off", 0.001, "0%"),
        ("off", -0.01, "-1%"),
        ("off", 0.1, "+10%"),
        ("change", -0.0004, "0.0%"),
        ("change", 0.05, "+5.0%"),
        ("hidden", -0.001, "0%"),
        ("ratio", -0.001, "0.00"),
        ("images_per_second", -0.0, "0"),
        ("loss", 0.0, "0"),
        ("loss", 4.44e-8, "4.4e-08"),
        ("published cuDNN", 20.0, "20.0"),
    ],
)
def test_how_numbers_are_written(column: str, value: float, written: str) -> None:
    assert text.cell({column: value}, column) == written


def words(figure: Any) -> str:
    """The text in a figure."""
    return figures.save(figure, "svg").decode()


def test_published_numbers_are_written_alike_in_table_bar_and_words(make_run: Made) -> None:
    (part,) = parts(frames.read([make_run(measurement("vgg-vd-16", "numpy", [1.0]))]))
    drawing = part.drawings[0]
    assert "| 20.0 |" in text.as_markdown(part.table)
    assert ">20.0</text>" in words(drawing.draw())
    assert "published cuDNN 20.0" in drawing.words


def test_sources_are_those_of_the_columns_shown(make_run: Made) -> None:
    (part,) = parts(frames.read([make_run(measurement("alexnet", "numpy", [1.0]))]))
    assert any("Table 1.1" in sentence for sentence in part.legend)
    assert not any("Caffe" in sentence for sentence in part.legend)
    assert any("Caffe" in sentence for sentence in published.sources("training-speed"))
    (part,) = parts(frames.read([make_run(measurement("mine", "numpy", [1.0]), name="mine")]))
    assert not any("(published;" in sentence for sentence in part.legend)


def test_where_training_ended_is_said_with_network_and_quantity(make_run: Made) -> None:
    lines = [*training("numpy", 4e-7), *training("torch", 5e-8), *training("numpy", 1e-3, "alexnet")]
    part = trajectories.part(frames.read([make_run(*lines, experiment="agree")]))
    assert part is not None
    assert part.headline == (
        "LeNet-5, relative distance of the parameters from training in float64 after 3 steps (accuracy): numpy 4.0e-07 "
        "(90.0%), torch 5.0e-08 (90.0%). AlexNet, relative distance of the parameters from training in float64 after 3 "
        "steps (accuracy): numpy 1.0e-03 (90.0%)."
    )
    assert list(part.table["distance"]) == [4e-7, 5e-8, 1e-3]
    assert "| 0 | 1.0e-04 | c1.w | 3 | 4.0e-07 | 90.0% |" in text.as_markdown(part.table)
    drawn = words(part.drawings[0].draw())
    assert "AlexNet, numpy to float64" in drawn
    assert "relative distance of the parameters" in drawn


def test_a_step_without_training_has_neither_distances_nor_a_figure(make_run: Made) -> None:
    step, _ = training("onnxruntime", 1.0, verdict="UNSUPPORTED", loss=None, gradient=None, parameter=None)
    part = trajectories.part(frames.read([make_run(step, experiment="agree")]))
    assert part is not None
    assert (part.headline, list(part.drawings)) == ("", [])
    assert text.as_markdown(part.table).endswith("| UNSUPPORTED |")


def test_the_mean_time_of_a_trial_is_a_number(make_run: Made) -> None:
    trials = [
        schema.Trial(
            case="gate-power/small", backend="numpy", trial=i, slowdown=0.0, decision="SAME", effect=None,
            standard_error=None, replicates=2, launches=1, seconds=seconds, median_ns={}, load=0.0,
        )
        for i, seconds in enumerate((8.0, 14.0))
    ]  # fmt: skip
    trials = [trial.model_copy(update={"median_ns": {"base": None, "head": None}}) for trial in trials]
    part = gate.power(frames.read([make_run(*trials, experiment="gate-power")]))
    assert part is not None
    (row,) = page.rows(part.table)
    cell = dict(zip(page.headings(part.table).values(), row, strict=True))["mean time"]
    assert cell == page.Cell("11 s", "11.0", "number")


@pytest.mark.parametrize(
    ("directions", "said"), [(["forward"], "forward"), (["forward", "backward"], "forward and backward")]
)
def test_the_worst_error_of_a_block_says_of_which_directions(make_run: Made, directions: list[str], said: str) -> None:
    lines = [agreement("torch", "float64", direction=direction) for direction in directions]
    part = agreed.part(frames.read([make_run(*lines, experiment="agree")]))
    assert part is not None
    assert part.drawings[-1].title == f"Worst error over its bound, {said}"


def test_figures_are_paths_and_text_without_pictures(make_run: Made) -> None:
    """A picture inside a figure would be blocked by the page's policy, and could not follow its colours."""
    speeds = [measurement("alexnet", backend, [1.0, 1.1, 0.9]) for backend in ("numpy", "torch")]
    layers = [
        measurement("alexnet", "numpy", [1.0], case=f"layer-speed/alexnet/conv1/{way}", details={"bytes": 10**6})
        for way in ("forward", "backward")
    ]
    limit = schema.Limit(
        device="cpu", dtype="float32", threads=2, flops_per_second=1e10, bytes_per_second=1e10, how="typed"
    )
    verdict = schema.BlockVerdict(
        case="c", block="relu", backend="numpy", dtype="float32", property="bounded", verdict="HOLDS", examples=1,
        worst_ratio=0.5, message=None, reproduce="",
    )  # fmt: skip
    several = [measurement("alexnet", "numpy", [1.0], workers=n, case="multi-gpu/alexnet") for n in (1, 2)]
    runs = [
        make_run(*speeds, name="a"),
        make_run(*speeds, name="b", started="2026-01-03T00:00:00Z"),
        make_run(limit, *layers, name="c", experiment="layer-speed"),
        make_run(*several, name="d", experiment="multi-gpu"),
        make_run(verdict, name="e", experiment="check"),
        make_run(agreement("torch", "float64"), *training("torch", 1e-7), name="f", experiment="agree"),
    ]
    drawn = {name: content for name, content in folder.contents(runs).items() if name.endswith(".svg")}
    stems = {name.rpartition(".")[0] for name in drawn}
    assert stems >= {"training-speed-ratio", "layer-speed-layers", "layer-speed-roofline", "multi-gpu-scaling"}
    assert stems >= {"check-worst-ratio", "agreement-forward", "agreement-blocks", "networks-distance", "history-time"}
    assert [name for name, content in drawn.items() if b"<image" in content] == []
    assert b"ideal: each as much as the first" in drawn["multi-gpu-scaling.svg"]
