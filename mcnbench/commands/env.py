"""`mcnbench env`: which backends work here, why others do not, what would be recorded, and what is odd here."""

from __future__ import annotations

from typing import Any

import click

ANSWER_SECONDS = 120.0


@click.command("env")
@click.option("--inherit-env", is_flag=True, help="As for `mcnbench run`: leave the environment variables as they are.")
def command(inherit_env: bool) -> None:
    """Which backends work here, what a run would record, and what is odd about this machine."""
    import os
    from contextlib import ExitStack

    from mcnbench import backends, machine
    from mcnbench.measure import environment
    from mcnbench.measure.process import Worker, WorkerFailed

    threads = machine.cores_allowed()
    workers = environment.clean(os.environ, threads, inherit_env)
    libraries: list[dict[str, Any]] = []

    click.echo("Backends, each in a worker process as a run would start it:")
    with ExitStack() as stack:
        started = [(name, stack.enter_context(Worker(workers.variables))) for name in backends.names()]
        for name, worker in started:
            worker.send("hello", backend=name, threads=threads)
        for name, worker in started:
            try:
                answer = worker.receive(ANSWER_SECONDS)
            except WorkerFailed as error:
                click.echo(f"  {name}: not usable here: {error}")
                continue
            click.echo(f"  {name}: {answer['receipt']}")
            libraries += [{"backend": name, **library} for library in answer["libraries"]]

    _section("Libraries they load", [_library(library) for library in libraries])
    described = machine.describe()
    _section("Machine", [f"{key}: {_written(key, value)}" for key, value in described.items()])
    _section("Versions", [f"{key}: {value}" for key, value in machine.versions().items()])
    _section("Git", [f"{key}: {value}" for key, value in machine.git().items()] or ["not run from a checkout"])
    _section("Set in the workers' environment", [f"{key}={value}" for key, value in workers.added.items()])
    odd = [
        f"{name}={value} is exported, which changes kernels, threads or memory: "
        + ("the workers would inherit it" if inherit_env else "left out of the workers (--inherit-env keeps it)")
        for name, value in environment.suspicious(os.environ).items()
    ]
    _section("Odd about this machine", odd + machine.oddities(described) or ["nothing"])


def _section(title: str, lines: list[str]) -> None:
    click.echo(f"\n{title}:")
    for line in lines:
        click.echo(f"  {line}")


def _written(key: str, value: Any) -> str:
    if value is None:
        return "none" if key == "cpu_quota" else "not known"
    return f"{value / 2**30:.1f} GiB" if key.startswith("memory") else str(value)


def _library(library: dict[str, Any]) -> str:
    kernels = f", kernels for {library['architecture']}" if "architecture" in library else ""
    version = library.get("version") or "of unknown version"
    threads = library["num_threads"]
    return f"{library['backend']}: {library['internal_api']} {version}{kernels}, {threads} thread{'s' * (threads != 1)}"
