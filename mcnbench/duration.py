"""Durations as people write them: "90", "90s", "3m", "7m30s", "1h", "2.5m"."""

from __future__ import annotations

import re

from mcnbench.errors import BadInput

SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds(text: str) -> float:
    """The seconds of such a text; a bare number is of seconds. Raises BadInput."""
    parts = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", text.strip().lower())
    try:
        if not parts or not any(parts.groups()):
            raise ValueError
        return sum(
            float(value) * unit
            for value, unit in zip(parts.groups(), SECONDS.values(), strict=True)
            if value is not None
        )
    except ValueError:
        raise BadInput(f"'{text}' is no duration; wanted one such as 90s, 3m or 7m30s") from None


def written(value: float) -> str:
    """Seconds as 45s, 7m30s or 1h05m."""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
