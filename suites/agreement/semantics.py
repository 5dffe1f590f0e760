"""What each framework means by the blocks: its own operations asked, its answers named, dialects found that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from mcnbench import dialects
from mcnbench.arrays import Array
from mcnbench.backends import Backend, native
from mcnbench.case import parse
from mcnbench.errors import unknown
from reports.schema import Semantic
from suites.agreement.probes import PROBES, Probe
from suites.agreement.process import Failed, Process
from suites.properties.subject import Subject

NONE = "no such operation"


def ask(backend: Backend, line: str, words: Mapping[str, Any]) -> dict[str, Array] | str:
    """y and the gradients of the framework's own operation on that case, or why it has none; runs in its process."""
    case = parse(line)
    own = native.load(backend.name)
    try:
        if own is None:
            return _by_its_blocks(backend, line, words)
        given = {field.name: getattr(case.options, field.name) for field in fields(case.options)}
        options = {name: given[name] for name, _ in case.given} | dict(words)
        if case.block == "batch_norm":
            options["epsilon"] = given["epsilon"]
        elif case.block == "softmax":
            options.pop("temperature", None)
        y, gradients = own(case.block, case.inputs(), options)
        found = {"y": np.array(y)}
        if gradients is not None and y.shape == case.output_shape and y.size:
            found |= {
                f"d{n}": np.array(g) for n, g in zip(case.names, gradients(case.dy()), strict=True) if g is not None
            }
    except (NotImplementedError, TypeError) as reason:
        said = str(reason) if isinstance(reason, NotImplementedError) else "no such option"
        return said or NONE
    return found


def _by_its_blocks(backend: Backend, line: str, words: Mapping[str, Any]) -> dict[str, Array] | str:
    """A backend without operations beside its blocks is asked by these."""
    case = parse(line)
    if words:
        raise NotImplementedError(f"no {' or '.join(f'{key} {value}' for key, value in words.items())}")
    function = backend.block(case.block)
    if function is None:
        raise NotImplementedError(NONE)
    inputs = [None if a is None else backend.from_numpy(a) for a in case.inputs()]
    try:  # not through a Subject, which would refuse a y of another shape
        y, pullback = function(*inputs, **Subject(backend, case.block).keywords(case.options))
    except ValueError as reason:
        raise NotImplementedError(str(reason)) from reason
    found = {"y": np.array(backend.to_numpy(y))}
    if pullback is not None and found["y"].shape == case.output_shape and found["y"].size:
        gradients = zip(case.names, pullback(backend.from_numpy(case.dy())), strict=True)
        found |= {f"d{name}": np.array(backend.to_numpy(g)) for name, g in gradients if g is not None}
    return found


def chosen(keys: Sequence[str]) -> list[Probe]:
    """The questions of these keys, all for none; raises BadInput for one that is not known."""
    known = {probe.key: probe for probe in PROBES}
    for key in keys:
        if key not in known:
            raise unknown("probe", key, known)
    return [known[key] for key in keys or known]


def run(processes: Sequence[Process], probes: Sequence[Probe], on_probe: Callable[[], None]) -> list[Semantic]:
    """The answer of every backend to each of the questions."""
    found = []
    for probe in probes:
        for process in processes:
            process.send(ask, probe.line, dict(probe.words))
        for process in processes:
            try:
                got = process.receive()
            except Failed as error:
                got = f"fails: {error}"
            found.append(_line(probe, process, got))
        on_probe()
    return found


def _line(probe: Probe, process: Process, got: dict[str, Array] | str) -> Semantic:
    reason, answer = None, "–"
    if isinstance(got, str):
        reason, answer = got, NONE if got == NONE else "fails" if got.startswith("fails") else "refused"
    elif probe.quantity not in got:
        reason, answer = "no gradient", "no gradient"
    else:
        answer = probe.answer(got[probe.quantity])
    return Semantic(
        probe=probe.key,
        question=probe.question,
        backend=process.backend,
        receipt=process.hello["receipt"],
        answer=answer,
        reason=reason,
        dialects=_dialects(probe, answer),
        reproduce=probe.line,
    )


def _dialects(probe: Probe, answer: str) -> list[str]:
    """The dialects that have this answer."""
    section, _, key = probe.says.partition(".")
    if not key:
        return []
    return [name for name in dialects.names() if getattr(getattr(dialects.load(name), section), key) == answer]


def shared(old: Sequence[Semantic], new: Sequence[Semantic]) -> int:
    """How many answers both runs have."""
    return len({(line.probe, line.backend) for line in old} & {(line.probe, line.backend) for line in new})


def changes(old: Sequence[Semantic], new: Sequence[Semantic]) -> list[tuple[Semantic, Semantic]]:
    """The answers that are not what they were: (before, now), for backends and questions that both runs have."""
    before = {(line.probe, line.backend): line for line in old}
    both = [(before[key], line) for line in new if (key := (line.probe, line.backend)) in before]
    return [(then, now) for then, now in both if then.answer != now.answer]
