"""Table 1.1: what is measured, what is published, what has no number and why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
from reports import published, schema, statistics, tables, text
from tests.reports.conftest import HOLDS, Made, measurement

ROOT = Path(__file__).parents[2]
LIMIT = schema.Limit(device="cpu", dtype="float32", threads=2, flops_per_second=1e10)


def row(table: pd.DataFrame, backend: str) -> pd.Series:
    (index,) = table.index[table["backend"] == backend]
    return table.loc[index]


def test_numbers_of_a_verified_pair(make_run: Made) -> None:
    path = make_run(
        LIMIT,
        measurement("alexnet", "numpy", [0.9, 1.0, 1.2]),
        measurement("alexnet", "torch", [0.45, 0.8, 0.6]),
    )
    table = tables.training_speed(reports.load([path]))
    ours, peer = row(table, "numpy"), row(table, "torch")
    assert ours["images_per_second"] == pytest.approx(10 / 1.0)
    assert (ours["images_per_second_low"], ours["images_per_second_high"]) == pytest.approx((10 / 1.2, 10 / 0.9))
    # paired by round: 0.5, 0.8, 0.5; the ratio of the medians would be 0.6
    assert ours["ratio"] == pytest.approx(0.5)
    assert (ours["ratio_low"], ours["ratio_high"]) == pytest.approx((0.5, 0.8))
    assert ours["share"] == pytest.approx(3e9 / 1.0 / 1e10)
    assert ours["peak_bytes"] == 2e9
    assert ours["rounds"] == 3
    assert peer["ratio"] == 1
    assert (ours["published CPU"], ours["published GPU"], ours["published cuDNN"]) == (22.1, 192.4, 264.1)
    printed = text.as_text(table)
    assert "AlexNet" in printed
    assert "10.0 [8.33, 11.1]" in printed
    assert "0.50 [0.50, 0.80]" in printed
    assert "30%" in printed


def test_a_real_run_of_this_schema_stays_readable() -> None:
    """tests/data/training-speed.jsonl is what `mcnbench run training-speed --quick -n lenet-5 --budget 30s` wrote on a
    busy machine; a reader of schema 1 must go on to read it."""
    frame = reports.load([ROOT / "tests" / "data" / "training-speed.jsonl"])
    table = tables.training_speed(frame)
    assert list(table["state"]) == ["ok", "ok"]
    assert list(table["rounds"]) == [2, 2]
    assert (frame["seconds"] > 0).all()
    ours, peer = (frame[frame["backend"] == name].set_index("round")["seconds"] for name in ("numpy", "torch"))
    assert row(table, "numpy")["ratio"] == pytest.approx((peer / ours).median())
    assert "LeNet-5" in text.as_text(table)
    assert "channels_last" in text.as_text(table)


def test_rounds_of_several_launches_are_paired_by_launch_and_round(make_run: Made) -> None:
    path = make_run(
        measurement("alexnet", "numpy", [1.0, 1.0]),
        measurement("alexnet", "torch", [0.5, 0.5]),
        measurement("alexnet", "torch", [4.0], launch=1),
        measurement("alexnet", "numpy", [2.0], launch=1),
    )
    ours = row(tables.training_speed(reports.load([path])), "numpy")
    assert (ours["ratio_low"], ours["ratio"], ours["ratio_high"]) == pytest.approx((0.5, 0.5, 2.0))
    assert ours["rounds"] == 3


@pytest.mark.parametrize(
    ("changes", "word", "reason"),
    [
        ({"verified": HOLDS.model_copy(update={"after": "VIOLATED", "message": "conv1 dw"})}, "WRONG", "conv1 dw"),
        ({"verified": HOLDS.model_copy(update={"before": "MISTRUSTED"})}, "WRONG", "MISTRUSTED"),
        ({"verified": schema.Verified(before="HOLDS")}, "NOT VERIFIED", "not verified before and after"),
        ({"verified": schema.Verified()}, "NOT VERIFIED", "not verified"),
        ({"samples_ns": [], "round": [], "error": "killed for memory"}, "FAILED", "killed for memory"),
        ({"samples_ns": [], "round": []}, "FAILED", "no sample"),
    ],
)
def test_what_is_not_verified_has_no_number(make_run: Made, changes: dict, word: str, reason: str) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0, 1.0], **changes), measurement("alexnet", "torch", [1.0, 1.0]))
    table = tables.training_speed(reports.load([path]))
    ours = row(table, "numpy")
    assert ours[["images_per_second", "ratio", "share", "peak_bytes"]].isna().all()
    printed = text.as_text(table)
    assert word in printed
    assert reason in printed


def test_a_wrong_peer_leaves_no_ratio(make_run: Made) -> None:
    wrong = HOLDS.model_copy(update={"after": "VIOLATED"})
    path = make_run(measurement("alexnet", "numpy", [1.0]), measurement("alexnet", "torch", [1.0], verified=wrong))
    ours = row(tables.training_speed(reports.load([path])), "numpy")
    assert ours["images_per_second"] == pytest.approx(10)
    assert np.isnan(ours["ratio"])


def test_one_wrong_launch_makes_the_backend_wrong_and_a_failed_one_is_said(make_run: Made) -> None:
    wrong = HOLDS.model_copy(update={"after": "VIOLATED"})
    path = make_run(
        measurement("alexnet", "numpy", [1.0]),
        measurement("alexnet", "numpy", [1.0], launch=1, verified=wrong),
        measurement("vgg-f", "numpy", [1.0]),
        measurement("vgg-f", "numpy", [], launch=1, error="hung"),
    )
    table = tables.training_speed(reports.load([path]))
    assert list(table["state"]) == ["wrong", "ok"]
    assert "1 of 2 launches failed: hung" in text.as_text(table)


def test_an_interrupted_run_keeps_what_it_finished(make_run: Made) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0]), status="interrupted")
    launch = schema.Launch(
        **measurement("vgg-f", "numpy", []).model_dump(include=set(schema.Launch.model_fields) - {"kind"})
    )
    sample = schema.Sample(case="training-speed/vgg-f", backend="numpy", launch=0, round=0, ns=10**9)
    with path.open("a") as file:
        file.write(launch.model_dump_json() + "\n" + sample.model_dump_json() + "\n" + '{"kind": "sam')
    frame = reports.load([path])
    table = tables.training_speed(frame)
    assert list(table["state"]) == ["ok", "interrupted"]
    assert "INTERRUPTED" in text.as_text(table)
    assert tables.interruptions(frame) == ["Run run was interrupted: what it had finished is shown."]


def test_the_newest_run_of_a_case_is_shown(make_run: Made) -> None:
    old = make_run(measurement("alexnet", "numpy", [1.0]), measurement("vgg-f", "numpy", [1.0]), name="old")
    new = make_run(measurement("alexnet", "numpy", [2.0]), name="new", started="2026-01-03T00:00:00Z")
    for order in ([old, new], [new, old]):
        table = tables.training_speed(reports.load(order))
        assert list(table["images_per_second"]) == pytest.approx([5.0, 10.0])


def test_networks_stand_in_the_order_of_the_manual(make_run: Made) -> None:
    names = ["mine", "vgg-vd-19", "vgg-f", "alexnet"]
    table = tables.training_speed(reports.load([make_run(*(measurement(name, "numpy", [1.0]) for name in names))]))
    assert list(table["network"]) == names[::-1]


def test_the_published_numbers_are_those_of_the_manual() -> None:
    """Typed again from the manual's Table 1.1 and 1.2, section 1.4, and its sentence on Caffe."""
    rows = published.numbers()
    speed = rows[rows["experiment"] == "training-speed"].pivot(index="title", columns="column", values="value")
    assert dict(speed.sum().round(1)) == {"CPU": 61.9, "GPU": 650.6, "cuDNN": 837.0, "Caffe cuDNN": 253.0}
    assert tuple(speed.loc["VGG-S", ["CPU", "GPU", "cuDNN"]]) == (7.4, 96.2, 110.1)
    several = rows[rows["experiment"] == "multi-gpu"]
    assert dict(zip(several["workers"], several["value"], strict=True)) == {1: 20.0, 2: 22.2, 3: 38.18, 4: 44.8}
    assert rows["source"].str.len().gt(20).all()


@pytest.mark.parametrize("n", [2, 3, 5, 9, 400])
def test_the_interval_covers_the_median_as_often_as_said(n: int) -> None:
    """Below six values it is the range, with the coverage that the module states; above, about 95%."""
    rng = np.random.default_rng(n)
    trials = 200
    hits = sum(e.low <= 1.0 <= e.high for e in (statistics.estimate(rng.lognormal(0, 0.3, n)) for _ in range(trials)))
    nominal = min(0.95, 1 - 2 ** (1 - n))
    assert hits / trials == pytest.approx(nominal, abs=0.06)


def test_intervals_by_bootstrap_and_by_rank_meet() -> None:
    values = np.random.default_rng(0).lognormal(0, 0.3, statistics.MANY)
    by_rank, by_bootstrap = statistics.estimate(values), statistics.estimate(values[:-1])
    assert by_rank.low == pytest.approx(by_bootstrap.low, rel=0.01)
    assert by_rank.high == pytest.approx(by_bootstrap.high, rel=0.01)


@pytest.mark.parametrize(("name", "shown"), [("a|b", "a&#124;b"), ("<script>", "&#60;script&#62;"), ("a\nb", "a b")])
def test_markdown_shows_hostile_names_harmlessly(make_run: Made, name: str, shown: str) -> None:
    table = tables.training_speed(reports.load([make_run(measurement("alexnet", name, [1.0]))]))
    markdown = text.as_markdown(table).splitlines()
    assert len(markdown) == 3
    assert shown in markdown[2]
    assert len({line.count(" | ") for line in (markdown[0], markdown[2])}) == 1


def test_a_terminal_is_not_steered_by_a_name(make_run: Made) -> None:
    table = tables.training_speed(reports.load([make_run(measurement("alexnet", "\x1b[2J[red]x", [1.0]))]))
    assert "\x1b" not in text.as_text(table)
    assert "[red]x" in text.as_text(table)


def test_csv_has_every_number_unrounded(make_run: Made) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0, 3.0]), measurement("alexnet", "torch", [1.0, 1.0]))
    table = tables.training_speed(reports.load([path]))
    folder = path.parent / "table.csv"
    folder.write_text(text.as_csv(table))
    again = pd.read_csv(folder, keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(
        again[["ratio", "ratio_low", "images_per_second"]], table[["ratio", "ratio_low", "images_per_second"]]
    )


def test_reports_need_neither_torch_nor_mcnbench(make_run: Made) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0]))
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('torch', 'mcnbench', 'impl', 'suites'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import reports\n"
        "from reports import tables, text\n"
        "print(text.as_text(tables.training_speed(reports.load(sys.argv[1:]))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert "AlexNet" in done.stdout, done.stderr
