"""Comparing two run files: per case the speed (as a ratio to the peer of the same run), the error and the memory.

Two runs are two times, and often two machines. The ratio to the peer measured in the same rounds cancels the machine
and the day; what it cannot cancel is the offset that each launch of two processes has for its whole life, which is why
runs of a single launch can only show large changes, and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mcnbench.arrays import Float64
from mcnbench.compare import decision
from mcnbench.compare.decision import Estimate
from mcnbench.compare.result import Comparison
from reports.runfile import RunFile
from reports.schema import BlockVerdict, Measurement

PEER = "torch"

LAUNCH_OFFSET = 0.036
"""Standard deviation, in log-ratio, of what one launch of two unpinned worker processes adds for its whole life: 3.6%
(10 pairs of processes of identical code, allocator settings as the workers have them, a shared machine of 2 cores)."""

SAME_NEEDED = ("device", "dtype", "batch", "threads", "workers", "images")
"""What must agree for times, errors and memory to be compared."""

Key = tuple[str, str]


@dataclass(frozen=True)
class Limits:
    """How much more is too much: 0.05 is 5%."""

    slowdown: float = 0.05
    error_growth: float = 0.5
    memory_growth: float = 0.1


def compare(base: RunFile, head: RunFile, limits: Limits, allow: bool = False) -> list[Comparison]:
    """Every case of base on every backend but the peer, and every verdict of a check, against head; the peer itself
    where head has no number of it any more, as times by themselves are compared then."""
    old, new = _by_case(base.measurements), _by_case(head.measurements)
    found: list[Comparison] = []
    speeds: list[tuple[Key, Estimate]] = []
    for key in _judged(old):
        if missing := _missing(key, old, new):
            found.append(missing)
            continue
        differing = [] if allow else _differences(base, head, old[key], new[key])
        if differing:
            found.append(Comparison(*key, "speed", "INCOMPARABLE", f"{'; '.join(differing)} (--allow compares anyway)"))
            continue
        speed = _speed(key, old, new, _raw_refused(base, head) if not allow else None)
        if isinstance(speed, Comparison):
            found.append(speed)
        else:
            speeds.append((key, speed))
        found += _errors(key, old[key], new[key], limits.error_growth)
        found += _memory(key, old[key], new[key], limits.memory_growth)
    for case, name in old:
        if name == PEER and not _alone(case, old) and not _failures(old[case, PEER]):
            found += [lost] if (lost := _missing((case, PEER), old, new)) else []
    return _decided(speeds, limits.slowdown) + found + _checks(base.verdicts, head.verdicts, limits.error_growth)


def _by_case(measurements: Iterable[Measurement]) -> dict[Key, list[Measurement]]:
    found: dict[Key, list[Measurement]] = {}
    for m in measurements:
        found.setdefault((m.case, m.backend), []).append(m)
    return found


def _judged(cases: dict[Key, list[Measurement]]) -> list[Key]:
    """The cases on all backends but the peer, which is only the yardstick; where it stands alone, it is judged."""
    return [(case, backend) for case, backend in cases if backend != PEER or _alone(case, cases)]


def _alone(case: str, cases: dict[Key, list[Measurement]]) -> bool:
    return all(backend == PEER for other, backend in cases if other == case)


def _missing(key: Key, old: dict[Key, list[Measurement]], new: dict[Key, list[Measurement]]) -> Comparison | None:
    """A case that vanished, failed or became wrong never passes; one that base already had no number for says so."""
    if key not in new:
        return Comparison(*key, "speed", "MISSING", "base has it, head does not")
    if failed := _failures(new[key]):
        verdict, why = failed
        return Comparison(*key, "speed", "INCORRECT" if verdict == "VIOLATED" else "MISSING", f"head: {why}")
    if failed := _failures(old[key]):
        return Comparison(*key, "speed", "INCOMPARABLE", f"base has no number to compare with: {failed[1]}")
    return None


def _failures(measurements: Sequence[Measurement]) -> tuple[str, str] | None:
    for m in measurements:
        if m.error:
            return "ERROR", m.error
        if m.interrupted:
            return "ERROR", "the run was interrupted before this case was verified"
        if not m.verified.holds:
            worst = m.verified.before if m.verified.before != "HOLDS" else m.verified.after
            return worst or "ERROR", m.verified.message or f"verification says {worst or 'nothing'}"
        if not m.samples_ns:
            return "ERROR", "no samples"
    return None


def _differences(base: RunFile, head: RunFile, old: list[Measurement], new: list[Measurement]) -> list[str]:
    found = [
        f"{name} {getattr(old[0], name)} in base, {getattr(new[0], name)} in head"
        for name in SAME_NEEDED
        if getattr(old[0], name) != getattr(new[0], name)
    ]
    blas = [
        {f"{b.get('internal_api')} {b.get('version')} {b.get('architecture')}" for b in _blas(run)}
        for run in (base, head)
    ]
    if blas[0] != blas[1] and all(blas):
        found.append(f"BLAS {', '.join(sorted(blas[0]))} in base, {', '.join(sorted(blas[1]))} in head")
    return found


def _blas(run: RunFile) -> list[dict[str, Any]]:
    return [library for library in run.run.machine.get("blas", []) if library.get("user_api") == "blas"]


def _raw_refused(base: RunFile, head: RunFile) -> str | None:
    """Why times without a peer cannot be compared; None on equal machines."""
    for name in ("host", "cpu", "cores_allowed"):
        a, b = base.run.machine.get(name), head.run.machine.get(name)
        if a != b:
            return f"no peer '{PEER}' in both runs, and {name} is {a} in base, {b} in head"
    return None


def _speed(
    key: Key, old: dict[Key, list[Measurement]], new: dict[Key, list[Measurement]], raw_refused: str | None
) -> Estimate | Comparison:
    peer = (key[0], PEER)
    has_peer = key != peer and all(peer in cases and not _failures(cases[peer]) for cases in (old, new))
    if not has_peer and raw_refused:
        return Comparison(*key, "speed", "INCOMPARABLE", f"{raw_refused} (--allow compares anyway)")
    sides = [_log_times(cases[key], cases[peer] if has_peer else None) for cases in (old, new)]
    if min(len(side) for side in sides) < 2:
        return Comparison(*key, "speed", "AMBIGUOUS", "a single round says nothing of its noise; measure longer")
    effects = [decision.hodges_lehmann(side) for side in sides]
    launches = [len({m.launch for m in cases[key]}) for cases in (old, new)]
    return Estimate(effects[1] - effects[0], _standard_error(sides, launches))


def _log_times(ours: list[Measurement], peer: list[Measurement] | None) -> Float64:
    """log(time / the peer's time of the same round), one value a round."""
    times = _round_medians(ours)
    theirs = dict.fromkeys(times, 1.0) if peer is None else _round_medians(peer)
    return np.log([times[number] / theirs[number] for number in times if number in theirs])


def _round_medians(measurements: list[Measurement]) -> dict[tuple[int, int], float]:
    rounds: dict[tuple[int, int], list[int]] = {}
    for m in measurements:
        for ns, number in zip(m.samples_ns, m.round, strict=True):
            rounds.setdefault((m.launch, number), []).append(ns)
    return {key: float(np.median(values)) for key, values in rounds.items()}


def _standard_error(sides: Sequence[Float64], launches: Sequence[int]) -> float:
    """Welch's, widened as Student's t asks for few rounds, and the offset of each launch, which no round reduces."""
    found = stats.ttest_ind(*sides, equal_var=False)
    within = float(np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides)))
    if within > 0:
        within *= float(stats.t.ppf(0.95, found.df)) / decision.Z95
    return float(np.sqrt(within**2 + sum(LAUNCH_OFFSET**2 / n for n in launches)))


def _decided(speeds: list[tuple[Key, Estimate]], max_slowdown: float) -> list[Comparison]:
    decisions = [decision.look(found, max_slowdown, last=True) or "AMBIGUOUS" for _, found in speeds]
    corrected = decision.false_discoveries(decisions, [decision.p_value(found, max_slowdown) for _, found in speeds])
    return [
        speed_comparison(key, found, verdict, max_slowdown)
        for (key, found), verdict in zip(speeds, corrected, strict=True)
    ]


def speed_comparison(key: Key, found: Estimate, verdict: decision.Decision, max_slowdown: float) -> Comparison:
    """The line for a speed, with the reason that its numbers give."""
    change, low, high = (float(np.expm1(value)) for value in (found.effect, *found.interval))
    needed = float(np.expm1(2 * decision.Z95 * found.error))
    reason = {
        "REGRESSED": f"slower, beyond half of the {max_slowdown:.1%} allowed with all of its uncertainty",
        "IMPROVED": f"faster, beyond half of {max_slowdown:.1%} with all of its uncertainty",
        "SAME": f"within the {max_slowdown:.1%} allowed",
        "AMBIGUOUS": f"these rounds can decide a threshold of {needed:.1%}, not of {max_slowdown:.1%}: "
        "measure more launches, or use --against"
        if needed > max_slowdown
        else "too near the boundary, or not evidence enough among so many cases",
    }[verdict]
    return Comparison(*key, "speed", verdict, reason, change, low, high)


def _errors(key: Key, old: list[Measurement], new: list[Measurement], allowed: float) -> list[Comparison]:
    for what in ("error_multiple", "error_ratio"):
        values = [[v for m in side if (v := getattr(m.verified, what)) is not None] for side in (old, new)]
        if all(values):
            name = {"error_multiple": "error over torch's", "error_ratio": "worst error over its bound"}[what]
            return [_grown(key, "error", name, values[0], values[1], allowed)]
    return []


def _memory(key: Key, old: list[Measurement], new: list[Measurement], allowed: float) -> list[Comparison]:
    values = [[float(m.peak_bytes) for m in side if m.peak_bytes] for side in (old, new)]
    return [_grown(key, "memory", "peak bytes", values[0], values[1], allowed)] if all(values) else []


def _grown(key: Key, quantity: str, name: str, old: list[float], new: list[float], allowed: float) -> Comparison:
    """Grown only if every value of head is above every value of base, and the medians differ by more than allowed."""
    a, b = float(np.median(old)), float(np.median(new))
    change = b / a - 1 if a > 0 else 0.0 if b == 0 else 1.0  # from none to some: twice as bad, whatever the unit
    reason = f"{name} {a:.4g} in base, {b:.4g} in head"
    if change > allowed and min(new) > max(old):
        return Comparison(*key, quantity, "REGRESSED", f"{reason}; {allowed:.0%} more is allowed", change)
    if change < -allowed and max(new) < min(old):
        return Comparison(*key, quantity, "IMPROVED", reason, change)
    return Comparison(*key, quantity, "SAME", reason, change)


def _checks(old: Sequence[BlockVerdict], new: Sequence[BlockVerdict], allowed: float) -> list[Comparison]:
    """The verdicts of `mcnbench check`: what held must hold, and its error must not grow."""
    later = {(v.block, v.property, v.dtype, v.backend): v for v in new}
    found = []
    for v in old:
        key = (f"check/{v.block}/{v.property}/{v.dtype}", v.backend)
        now = later.get((v.block, v.property, v.dtype, v.backend))
        if v.verdict != "HOLDS":
            continue  # what was not right in base cannot get worse
        if now is None:
            found.append(Comparison(*key, "error", "MISSING", "base has this verdict, head does not"))
        elif now.verdict != "HOLDS":
            found.append(Comparison(*key, "error", "INCORRECT", f"{now.verdict}: {now.message or 'no reason given'}"))
        elif v.worst_ratio and now.worst_ratio:
            name = "worst error over its bound"
            found.append(_grown(key, "error", name, [v.worst_ratio], [now.worst_ratio], allowed))
        else:
            found.append(Comparison(*key, "error", "SAME", "holds in both"))
    return found


def added(base: RunFile, head: RunFile) -> list[Key]:
    """What only head has: named, and not judged."""
    return [key for key in _judged(_by_case(head.measurements)) if key not in _by_case(base.measurements)]
