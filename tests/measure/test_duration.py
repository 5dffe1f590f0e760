"""Durations as people write them."""

from __future__ import annotations

import pytest

from mcnbench import duration
from mcnbench.errors import BadInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("3m", 180),
        ("7m30s", 450),
        ("1h", 3600),
        ("1h5m", 3900),
        ("2.5m", 150),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_what_people_write_is_read(text: str, seconds: float) -> None:
    assert duration.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "3x", "-5", "5m3h", "1.2.3s", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no duration; wanted one such as 90s"):
        duration.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45s"), (450, "7m30s"), (3900, "1h05m"), (-3, "0s"), (59.7, "1m00s")]
)
def test_writing(seconds: float, text: str) -> None:
    assert duration.written(seconds) == text
