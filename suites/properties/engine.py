"""Tries one property of one block of one backend on cases that Hypothesis draws, and concludes a verdict."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from time import monotonic

from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.errors import Flaky, Unsatisfiable

from mcnbench.backends import Backend, load
from mcnbench.case import Case
from mcnbench.errors import BadInput
from mcnbench.verdict import Verdict
from suites.properties import dossier, geometry, invalid, memory, relations, strategies, subject, underneath, values
from suites.properties.outcome import Tally, Unsupported, Violated
from suites.properties.subject import Subject
from suites.properties.trial import Trial

PROPERTIES: dict[str, Callable[[Trial], None]] = {
    "shape": values.shape,
    "exact": values.exact,
    "bounded": values.bounded,
    "gradient-exact": values.gradient_exact,
    "gradient-bounded": values.gradient_bounded,
    "taylor": values.taylor,
    "metamorphic": relations.metamorphic,
    "rejects-invalid": invalid.rejects_invalid,
    "leaves-inputs": memory.leaves_inputs,
    "writes-all": memory.writes_all,
    "strided-inputs": memory.strided_inputs,
    "empty-batch": values.empty_batch,
    "ties": values.ties,
    "nan": values.nan,
    "deterministic": memory.deterministic,
    "geometry": geometry.geometry,
}
CALLERS = (subject.__file__, underneath.__file__)
EXAMPLES = 100
SHRINK_SECONDS = 10.0
BUDGET_SECONDS = 120.0


def properties(block: str, dtype: str = "float32") -> tuple[str, ...]:
    """The properties that say something of the block in that dtype."""
    return tuple(name for name in PROPERTIES if strategies.kinds(block, name, dtype))


def run(
    backend: Backend,
    block: str,
    property: str,
    dtype: str = "float32",
    examples: int = EXAMPLES,
    seed: int = 0,
    *,
    shrink: bool = True,
    on_case: Callable[[Case], None] | None = None,
) -> Verdict:
    """Tries the property on `examples` cases, or until the first that violates it, which is then shrunk.

    `on_case` is told each case before the backend sees it. The same arguments try the same cases.
    """
    search = _Search(
        backend, block, property, dtype, on_case, torch_calls=None if underneath.says_torch(backend) else []
    )
    if backend.block(block) is None:
        return search.conclude("UNSUPPORTED", f"{backend.name} has no {block}")
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    strategy = strategies.cases(block, property, dtype)

    @hypothesis_seed(zlib.crc32(f"{seed} {block} {property} {dtype}".encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        # A backend that refuses most cases is no mistake of the strategy, and the suite runs inside functions.
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.nested_given],
    )
    @given(strategy)
    def each(case: Case) -> None:
        search.one(case)

    try:
        each()
    except _Found:
        pass
    except Flaky:
        search.flaky = True
    except Unsatisfiable:
        if not search.refusals:
            raise
    return search.verdict()


def replay(backend: Backend, case: Case, property: str) -> Verdict:
    """Tries the property on that one case."""
    search = _Search(backend, case.block, property, case.dtype, None)
    if backend.block(case.block) is None:
        return search.conclude("UNSUPPORTED", f"{backend.name} has no {case.block}")
    try:
        search.one(case)
    except _Found:
        pass
    except BaseException as error:
        if not search.refusals:
            raise error
    return search.verdict()


def applicable(case: Case) -> tuple[str, ...]:
    """The properties that the case can be tried on: its sizes fit or must be refused, and its data suits."""
    try:
        _ = case.output_shape
    except BadInput:
        raise
    except ValueError:
        return ("rejects-invalid",)
    fitting = [
        p
        for p in properties(case.block, case.dtype)
        if p != "rejects-invalid" and case.data in strategies.kinds(case.block, p)
    ]
    if case.shapes[0] and case.shapes[0][0] == 0:
        return tuple(p for p in fitting if p == "empty-batch")
    return tuple(p for p in fitting if p != "empty-batch")


class _Found(Exception):
    """Tells Hypothesis that a case failed; what failed is in the search."""


@dataclass
class _Failure:
    case: Case
    error: Exception
    place: str
    """Where in the backend's code it was raised; "" for what the properties raise themselves."""


@dataclass
class _Search:
    """The cases tried so far and the smallest failure: the last one that Hypothesis asked for."""

    backend: Backend
    block: str
    property: str
    dtype: str
    on_case: Callable[[Case], None] | None
    tally: Tally = field(default_factory=Tally)
    tried: int = 0
    """Cases that passed, and the first that did not; cases tried while shrinking are not counted."""
    refusals: dict[str, int] = field(default_factory=dict)
    first: _Failure | None = None
    """The failure as it was found; larger than the shrunk one, its pattern says more."""
    failure: _Failure | None = None
    flaky: bool = False
    torch_calls: list[str] | None = None
    """The torch operators that a backend which is not torch calls."""
    started: float = field(default_factory=monotonic)
    failed_at: float = 0.0

    def one(self, case: Case) -> None:
        """Tries one case; raises _Found if the property fails."""
        if self.failure and monotonic() - self.failed_at > SHRINK_SECONDS and case != self.failure.case:
            return  # enough shrinking: only the smallest failure so far may fail again
        if not self.failure and monotonic() - self.started > BUDGET_SECONDS:
            return
        if self.on_case:
            self.on_case(case)
        under_test = Subject(self.backend, self.block, self.torch_calls)
        tally = self.tally if not self.failure else Tally()
        failed: _Failure | None = None
        try:
            PROPERTIES[self.property](Trial(under_test, case, tally, self._peer()))
        except (Unsupported, NotImplementedError) as reason:
            self._refused(str(reason) or type(reason).__name__)
        except Exception as error:  # whatever the backend raises is a finding, with its case
            failed = _Failure(case, error, _where_raised(error))
            error.__traceback__ = None  # its frames hold the arrays of the call
        if failed:
            self._failed(failed)
        self.tried += not self.failure

    def _failed(self, failed: _Failure) -> None:
        if self.failure is None:
            self.tried += 1
            self.failed_at = monotonic()
            self.first = failed
        elif type(failed.error) is not type(self.failure.error):
            return  # shrinking must not turn a wrong value into an exception that hides it
        self.failure = failed
        raise _Found

    def _refused(self, reason: str) -> None:
        if self.failure is None:
            self.refusals[reason] = self.refusals.get(reason, 0) + 1
        reject()

    def _peer(self) -> Subject | None:
        if self.property not in ("bounded", "gradient-bounded") or self.dtype != "float32":
            return None
        torch = _torch()
        return Subject(torch, self.block) if torch.block(self.block) else None

    def verdict(self) -> Verdict:
        """What all the cases amount to."""
        if self.failure is not None:
            return self._failure_verdict(self.failure)
        if not self.tried and self.refusals:
            return self.conclude("UNSUPPORTED", next(iter(self.refusals)))
        note = self._notes()
        reason = self.tally.mistrust()
        if self.torch_calls:
            name = self.torch_calls[0]
            reason = (
                f"computed by torch's {name}: comparing torch with torch proves nothing; a backend that is meant to be "
                "torch says so in its version()"
            )
        if reason:
            return self.conclude("MISTRUSTED", f"{reason}{note}")
        return self.conclude("HOLDS", note.removeprefix("; "))

    def _notes(self) -> str:
        notes = [f"some cases refused: {reason}" for reason in self.refusals]
        if monotonic() - self.started > BUDGET_SECONDS:
            notes.append(f"stopped after {BUDGET_SECONDS:g} s")
        return "".join(f"; {note}" for note in notes)

    def _failure_verdict(self, failure: _Failure) -> Verdict:
        case, error = failure.case, failure.error
        if isinstance(error, Violated):
            changed = "; it did not fail again when the case was repeated" if self.flaky else ""
            message = dossier.describe(error, changed)
            message += self._first_pattern(message)
            script = dossier.script(self.backend, case, self.property, message)
            return self.conclude("VIOLATED", message, str(case), script)
        said = f": {error}" if str(error) else ""
        message = f"{type(error).__name__}{said}{failure.place}"
        return self.conclude("ERROR", message, str(case))

    def _first_pattern(self, message: str) -> str:
        """A line on the case that failed first, if that was another."""
        if self.first is None or self.failure is None or self.first.case == self.failure.case:
            return ""
        pattern = dossier.pattern_of(self.first.error) if isinstance(self.first.error, Violated) else ""
        return f"\nat first  {pattern}, in {self.first.case}" if pattern else ""

    def conclude(self, word: str, message: str, reproduce: str | None = None, script: str | None = None) -> Verdict:
        assert word in ("HOLDS", "VIOLATED", "MISTRUSTED", "UNSUPPORTED", "ERROR")
        return Verdict(
            backend=self.backend.name,
            block=self.block,
            property=self.property,
            dtype=self.dtype,
            verdict=word,  # type: ignore[arg-type]  # checked above
            examples=self.tried,
            worst_ratio=self.tally.worst if self.tally.bounded else None,
            error_multiple=self.tally.error_multiple if self.tally.peers else None,
            message=message,
            reproduce=reproduce,
            script=script,
            seconds=monotonic() - self.started,
        )


@cache
def _torch() -> Backend:
    return load("torch")


def _where_raised(error: Exception) -> str:
    """The frame of the backend's own function, which the subject called."""
    frames = traceback.extract_tb(error.__traceback__)
    calls = [i for i, frame in enumerate(frames) if frame.filename in CALLERS]
    inside = frames[calls[-1] + 1 :] if calls else []
    return f" (in {inside[0].filename}, line {inside[0].lineno})" if inside else ""
