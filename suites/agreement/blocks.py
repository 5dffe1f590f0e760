"""Every block on every backend: who agrees with whom, and with float64, case by case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from time import perf_counter

from mcnbench.case import Case
from reports.schema import Agreement
from suites.agreement.compute import Computed, compute
from suites.agreement.judging import DIRECTIONS, ORACLE, Difference, Direction, Right, compare, right
from suites.agreement.process import Failed, Process

Pair = tuple[str, str]


@dataclass
class Tally:
    """One block in one dtype: the differences of each pair, and why something is missing."""

    block: str
    dtype: str
    differences: dict[tuple[str, Pair], Difference] = field(default_factory=dict)
    refusals: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """By direction and backend, a reason for each case that it did not compute."""
    errors: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By backend the first crash or exception, and its case."""
    overheads: list[float] = field(default_factory=list)
    """Seconds of each case that no backend spent: drawing apart, the oracle, the bounds, the comparison."""

    def lines(self, backends: Sequence[str]) -> Iterator[Agreement]:
        for which in DIRECTIONS:
            for pair in pairs(backends):
                yield self._line(which, pair)

    def _line(self, which: Direction, pair: Pair) -> Agreement:
        failed = next((name for name in pair if name in self.errors), None)
        refused = [(name, reason) for name in pair for reason in self.refusals.get((which, name), [])]
        line = Agreement(
            case=f"agree/{self.block}/{which}/{self.dtype}",
            block=self.block,
            direction=which,
            dtype=self.dtype,
            backend=pair[0],
            other=pair[1],
            verdict="ERROR" if failed else "UNSUPPORTED",
            refused=len(refused),
            message=f"{refused[0][0]}: {refused[0][1]}" if refused else None,
        )
        if (found := self.differences.get((which, pair))) is not None:
            seen = {
                "verdict": line.verdict if failed else "AGREE" if found.worst <= 1 else "DIFFER",
                "examples": len(found.ratios),
                "worst_ratio": found.worst,
                "median_ratio": found.median,
                "worst_bits": min(found.bits),
                "median_bits": median(found.bits),
                "equal": found.equal,
                "quantity": found.worst_quantity,
                "reproduce": found.worst_case,
            }
            line = line.model_copy(update=seen)
        if failed:
            error, case = self.errors[failed]
            line = line.model_copy(update={"message": f"{failed}: {error}", "reproduce": case})
        return line


def pairs(backends: Sequence[str]) -> list[Pair]:
    """Each backend with the oracle, then each with each."""
    return [*((name, ORACLE) for name in backends), *combinations(backends, 2)]


def run(
    processes: Sequence[Process], block: str, dtype: str, cases: Sequence[Case], on_case: Callable[[], None]
) -> Tally:
    """The block on all backends, one case after another; `on_case` is called after each."""
    tally = Tally(block, dtype)
    for case in cases:
        began = perf_counter()
        computed, waited = _ask(processes, case, tally)
        _compare(tally, right(case), computed, processes)
        tally.overheads.append(perf_counter() - began - waited)
        on_case()
    return tally


def _ask(processes: Sequence[Process], case: Case, tally: Tally) -> tuple[dict[str, Computed], float]:
    """What each backend computed, and how long the slowest took."""
    found: dict[str, Computed] = {}
    began = perf_counter()
    asked = [process for process in processes if process.backend not in tally.errors]
    for process in asked:
        process.send(compute, str(case))
    for process in asked:
        try:
            found[process.backend] = process.receive()
        except Failed as error:
            tally.errors[process.backend] = str(error), str(case)
            continue
        for which, reason in found[process.backend].refused.items():
            tally.refusals.setdefault((which, process.backend), []).append(reason)
    waited = perf_counter() - began
    return found, min(waited, sum(c.seconds for c in found.values()))


def _compare(tally: Tally, exact: Right, computed: dict[str, Computed], processes: Sequence[Process]) -> None:
    kinds = {
        p.backend: (p.hello["precision"][tally.dtype], p.hello["factor"]) for p in processes if p.backend in computed
    }
    bounds = {kind: exact.bounds(*kind) for kind in set(kinds.values())}
    for a, b in pairs(list(kinds)):
        other = None if b == ORACLE else computed[b].values
        limits = None if b == ORACLE else bounds[kinds[b]]
        for which, (ratios, bits, equal) in compare(exact, computed[a].values, other, bounds[kinds[a]], limits).items():
            difference = tally.differences.setdefault((which, (a, b)), Difference())
            difference.add(exact.case, ratios, bits, equal)
