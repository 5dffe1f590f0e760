"""One test: one property of one block in one dtype, on cases that Hypothesis draws, in a worker process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcnbench.verdict import BAD
from suites.properties.conftest import Verdicts
from suites.properties.pool import Request


def test_property(verdicts: Verdicts, request_: Request, record_property: Callable[[str, object], None]) -> None:
    verdict = verdicts[request_]
    record_property("verdict", verdict.verdict)
    record_property("examples", verdict.examples)
    if verdict.worst_ratio is not None:
        record_property("worst_ratio", verdict.worst_ratio)
    if verdict.error_multiple is not None:
        record_property("error_multiple", verdict.error_multiple)
    if verdict.verdict == "UNSUPPORTED":
        pytest.skip(verdict.message)
    if verdict.verdict in BAD:
        case = f"\ncase      {verdict.reproduce}" if verdict.reproduce else ""
        pytest.fail(f"{verdict.verdict}: {verdict.message}{case}", pytrace=False)
