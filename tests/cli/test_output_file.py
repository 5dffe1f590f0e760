"""The files that options such as --json ask for: one that cannot be written is one sentence, with the option."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcnbench import output_file
from mcnbench.errors import BadInput


def test_what_is_written(tmp_path: Path) -> None:
    output_file.write_json(tmp_path / "a.json", {"name": "ü", "values": [1, 0.1]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"name": "ü", "values": [1, 0.1]}
    output_file.write(tmp_path / "a.txt", "±1%", "--markdown")
    assert (tmp_path / "a.txt").read_bytes() == "±1%".encode()


@pytest.mark.parametrize(("path", "reason"), [("none/a.json", "there is no folder '"), (".", "Is a directory")])
def test_what_could_not_be_written_is_known_before(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(BadInput) as error:
        output_file.refuse_unwritable(tmp_path / path, "--json")
    assert str(error.value).startswith(f"cannot write '{tmp_path / path}': {reason}")
    output_file.refuse_unwritable(tmp_path / "a.json", "--json")
    output_file.refuse_unwritable(None, "--json")
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(("path", "reason"), [("none/a.json", "No such file or directory"), (".", "Is a directory")])
def test_what_cannot_be_written(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(BadInput) as error:
        output_file.write_json(tmp_path / path, {})
    assert str(error.value) == f"cannot write '{tmp_path / path}': {reason}; give another path with --json"
