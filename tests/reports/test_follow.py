"""A page that follows a run while it is being written."""

from __future__ import annotations

from pathlib import Path

from mcnbench.runfile import Writer
from reports import follow, schema
from tests.reports.conftest import RUN, measurement


def launch_of(m: schema.Measurement) -> schema.Launch:
    return schema.Launch(**m.model_dump(include=set(schema.Launch.model_fields) - {"kind"}))


def test_the_page_is_written_when_the_run_has_grown_until_it_ends(tmp_path: Path) -> None:
    m = measurement("alexnet", "numpy", [1.0, 1.0])
    path, target = tmp_path / "run.jsonl", tmp_path / "index.html"
    writer = Writer.create(path, RUN)
    waits = 0

    def wait(_: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 1:
            writer.write(launch_of(m))
            writer.write(schema.Sample(case=m.case, backend=m.backend, launch=0, round=0, ns=10**9))
        elif waits == 3:  # nothing was written at the second
            with path.open("a") as file:
                file.write('{"kind":"sam')  # half a line
        elif waits == 4:
            with path.open("r+") as file:
                file.truncate(path.stat().st_size - len('{"kind":"sam'))
            writer.write(m)
        elif waits == 5:
            writer.end("complete")

    pages = []
    for measured in follow.follow([path], target, wait):
        pages.append((measured, target.read_text()))
    assert [measured for measured, _ in pages] == [0, 1, 1, 1, 1]
    refreshing = ['http-equiv="refresh"' in page for _, page in pages]
    assert refreshing == [True, True, True, True, False]
    assert "RUNNING" in pages[1][1]
    assert "INTERRUPTED" not in pages[1][1]
    assert "10.0" in pages[3][1]
    assert "INTERRUPTED" not in pages[4][1]
    assert list(tmp_path.glob(".*")) == []
