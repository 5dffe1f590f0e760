"""Which plan computes a convolution: the fastest by measurement on this device, within a workspace limit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from impl.cudnn import graphs
from impl.cudnn.checks import Convolution, check_buffer
from impl.cudnn.graphs import UIDS, Plan, Target
from impl.cudnn.library import handle
from impl.cupy_cuda.arrays import Array
from impl.cupy_cuda.device import TF32, cupy

WORKSPACE = 1 << 30  # bytes a plan may use
MOST_PLANS = 16  # to be tried, in cuDNN's own order
SMALL = 10**8  # operations; below, a kernel's start takes longer than its work, and cuDNN's first plan will do
REPEATS = 3  # of each, after one to warm up; the least time counts


@dataclass(frozen=True)
class Choice:
    """A convolution's plan, the time it took (microseconds), and how many others were tried."""

    graph: Any
    plan: Plan
    microseconds: float
    tried: int


_choices: dict[tuple[int, Convolution], Choice] = {}


def run(c: Convolution, first: Array, second: Array, out: Array) -> Array:
    """Computes c of its two operands into out, which is returned. Raises ValueError for arrays that do not fit c."""
    arrays = dict(zip((*c.operands, c.result), (first, second, out), strict=True))
    for name, a in arrays.items():
        check_buffer(a, c.shape(name), c.dtype, name)
    pack = {UIDS[name]: int(a.data.ptr) for name, a in arrays.items()}
    key = cupy.cuda.Device().id, c
    if key not in _choices:
        _choices[key] = choose(c, pack)
    chosen = _choices[key]
    execute(chosen.graph, chosen.plan, pack)
    return out


def execute(graph: Any, plan: Plan, pack: dict[int, int]) -> None:
    """Starts the plan on CuPy's current stream."""
    # The pool gives the workspace's memory again only to later work of the same stream.
    workspace = cupy.empty(max(plan.workspace, 1), "uint8")
    graph.execute_plan_at_index(pack, int(workspace.data.ptr), index=plan.index, handle=handle())


def choose(c: Convolution, pack: dict[int, int]) -> Choice:
    """The fastest plan on these buffers; of a small convolution the first that runs.

    Raises RuntimeError when cuDNN has none for it.
    """
    tried = 0
    for most in (MOST_PLANS,) if c.operations >= SMALL else (1, MOST_PLANS):
        graph = graphs.build(c, Target(handle()))
        found = graphs.plans(graph, graphs.barred_notes(c.dtype, TF32), WORKSPACE, most=most)
        tried, timed = len(found), []
        for plan in found:
            try:
                timed.append((least_time(graph, plan, pack), plan))
            except RuntimeError:  # cuDNN offers plans that then refuse to run
                continue
        if timed:
            microseconds, plan = min(timed, key=lambda pair: pair[0])
            return Choice(graph, plan, microseconds, tried)
    if tried:
        raise RuntimeError(f"each of cuDNN's {tried} plans failed for {c}")
    raise RuntimeError(f"cuDNN has no deterministic plan in full precision within {WORKSPACE} bytes for {c}")


def least_time(graph: Any, plan: Plan, pack: dict[int, int], repeats: int = REPEATS) -> float:
    """Microseconds of one execution by events on the stream, the least of several."""
    execute(graph, plan, pack)
    times = []
    for _ in range(repeats):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        execute(graph, plan, pack)
        end.record()
        end.synchronize()
        times.append(1000 * float(cupy.cuda.get_elapsed_time(start, end)))
    return min(times)


def recorded() -> list[dict[str, Any]]:
    """What was chosen in this process, for the record of a measurement: convolution, engine, notes, workspace, time."""
    records = []
    for (device, c), choice in _choices.items():
        notes = graphs.notes_of(c, Target(handle()), [choice.plan.name], WORKSPACE)[choice.plan.name]
        records.append(
            {
                **asdict(c),
                "device": device,
                "plan": choice.plan.name,
                "notes": notes,
                "deterministic": "NONDETERMINISTIC" not in notes,
                "precision": "tf32" if c.dtype == "float32" and graphs.TF32_NOTE in notes else c.dtype,
                "workspace": choice.plan.workspace,
                "microseconds": choice.microseconds,
                "tried": choice.tried,
            }
        )
    return records
