"""A convolution as a graph of the cuDNN frontend, and the plans that cuDNN offers for it.

Everything is said explicitly, because the frontend's defaults are traps: outputs are NHWC unless a stride is given, an
unset compute type may be the arrays' own, the size of dgrad's result is ambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from impl.cudnn.checks import Convolution, Shape
from impl.cudnn.library import frontend

FRONTEND_TYPES = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF", "bfloat16": "BFLOAT16"}
UIDS = {"x": 1, "w": 2, "y": 3}

# How no plan may compute: a block is held to a componentwise bound, and to the same bits every time.
ALWAYS_BARRED = (
    *("NONDETERMINISTIC", "DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "FFT"),
    *("WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13"),
)
TF32_NOTE = "TENSOR_CORE"  # what every TF32 engine of float32 carries


@dataclass(frozen=True)
class Plan:
    """A way of computing a graph: its place in the list, its name (engine and knobs), its workspace in bytes."""

    index: int
    name: str
    workspace: int


@dataclass(frozen=True)
class Target:
    """For what to plan: a handle, or the description of a device that is not here (JSON) and its compute capability."""

    handle: Any = None
    described: str = ""
    capability: int = 0

    def arguments(self) -> dict[str, Any]:
        if not self.described:
            return {"handle": self.handle}
        properties = frontend.create_device_properties(self.described)
        return {"device_property": properties, "sm_version": self.capability}


def barred_notes(dtype: str, tf32: bool) -> tuple[str, ...]:
    """The numerical notes that no plan of a block may carry."""
    return ALWAYS_BARRED if tf32 or dtype != "float32" else (*ALWAYS_BARRED, TF32_NOTE)


def build(c: Convolution, target: Target) -> Any:
    """The graph, with its plans listed. Raises RuntimeError where cuDNN has none."""
    kind = getattr(frontend.data_type, FRONTEND_TYPES[c.dtype])
    compute = frontend.data_type.DOUBLE if c.dtype == "float64" else frontend.data_type.FLOAT
    graph = frontend.pygraph(
        io_data_type=kind, intermediate_data_type=compute, compute_data_type=compute, **target.arguments()
    )
    given = [
        graph.tensor(name=n, uid=UIDS[n], dim=list(c.shape(n)), stride=strides(c.shape(n)), data_type=kind)
        for n in c.operands
    ]
    geometry: dict[str, Any] = {
        "pre_padding": list(c.before),
        "post_padding": list(c.after),
        "stride": list(c.stride),
        "dilation": list(c.dilation),
    }
    if c.direction == "fprop":
        made = graph.conv_fprop(image=given[0], weight=given[1], **geometry)
    elif c.direction == "dgrad":
        made = graph.conv_dgrad(loss=given[0], filter=given[1], **geometry)
    else:
        made = graph.conv_wgrad(image=given[0], loss=given[1], **geometry)
    shape = c.shape(c.result)
    made.set_output(True).set_data_type(kind).set_dim(list(shape)).set_stride(strides(shape)).set_uid(UIDS[c.result])
    try:
        graph.validate()
        graph.build_operation_graph()
        modes = frontend.heur_mode
        graph.create_execution_plans([modes.A, modes.B, modes.FALLBACK])
    except (RuntimeError, ValueError, frontend.cudnnGraphNotSupportedError) as error:
        raise RuntimeError(f"cuDNN has no way to compute {c}: {error}") from error
    return graph


def plans(
    graph: Any, barred: Iterable[str], workspace: int, compiled: bool = False, most: int | None = None
) -> list[Plan]:
    """The plans without the barred notes and within the workspace, built; one for each name, the first `most` of them.

    `compiled` admits those that cuDNN compiles when they are built (seconds each). A graph can be asked once.
    """
    notes = [getattr(frontend.numerical_note, note) for note in barred]
    if notes:
        graph.deselect_numeric_notes(notes)
    if not compiled:
        graph.deselect_behavior_notes([frontend.behavior_note.RUNTIME_COMPILATION])
    graph.deselect_workspace_greater_than(workspace)
    refused = (frontend.cudnnGraphNotSupportedError, RuntimeError, ValueError)  # what a plan that is barred raises
    try:
        graph.check_support()
    except refused:
        return []
    found: dict[str, Plan] = {}
    for index in range(graph.get_execution_plan_count()):
        try:
            graph.build_plan_at_index(index)
            name = str(graph.get_plan_name_at_index(index))
            needed = int(graph.get_workspace_size_plan_at_index(index))
        except refused:
            continue
        if needed <= workspace:
            found.setdefault(name, Plan(index, name, needed))
        if len(found) == most:
            break
    return list(found.values())


def notes_of(c: Convolution, target: Target, names: Iterable[str], workspace: int) -> dict[str, list[str]]:
    """The numerical notes of each plan: those whose barring makes it vanish."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for note in (TF32_NOTE, *ALWAYS_BARRED):
        left = {plan.name for plan in plans(build(c, target), [note], workspace)}
        for name in found:
            if name not in left:
                found[name].append(note)
    return found


def strides(shape: Shape) -> list[int]:
    """The strides, in elements, of a contiguous array."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.insert(0, steps[0] * size)
    return steps
