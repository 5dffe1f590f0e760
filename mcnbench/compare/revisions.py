"""Two versions of a repository as two folders with two Python environments, so that both can be measured side by side.

The working tree is head. The other revision is checked out into a folder of its own (git worktree). A repository with a
pyproject.toml is built: each side gets a virtual environment into which its own version is installed, on top of the
packages that this Python has; a repository without one (a folder of scripts) runs as it is.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mcnbench import ROOT
from mcnbench.errors import BadInput


@dataclass(frozen=True)
class Version:
    """Where a version lies, and the Python that runs it."""

    name: str
    folder: Path
    """Where it is run, so where a backend's file is looked for: the counterpart of the current folder."""
    python: str
    search: Path | None = None
    """A folder to import from, for a repository that is not built."""


@contextmanager
def base_and_head(revision: str) -> Iterator[tuple[Version, Version]]:
    """The given revision and the working tree of the repository around the current folder, both built; raises BadInput
    when there is no repository, no such revision, or when one of them does not build."""
    top = Path(_git("rev-parse", "--show-toplevel", wanted="a git repository around the current folder").strip())
    commit = _git(
        "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", wanted=f"a revision '{revision}'"
    ).strip()
    inside = Path.cwd().resolve().relative_to(top.resolve())
    with TemporaryDirectory(prefix="mcnbench-") as temporary:
        folder = Path(temporary) / "base"
        _git("worktree", "add", "--detach", "--quiet", str(folder), commit, wanted="a second work tree")
        try:
            base = _built(f"{revision} ({commit[:9]})", folder, inside, Path(temporary) / "base-environment")
            head = _built("the working tree", top, inside, Path(temporary) / "head-environment")
            yield base, head
        finally:
            _git("worktree", "remove", "--force", str(folder), wanted="the second work tree removed")


def _built(name: str, top: Path, inside: Path, environment: Path) -> Version:
    if not (top / "pyproject.toml").exists():
        return Version(name, top / inside, sys.executable, search=top / inside)
    _run([sys.executable, "-m", "venv", "--without-pip", str(environment)], f"cannot make an environment for {name}")
    python = str(environment / "bin" / "python")
    # A .pth line puts the packages of this Python behind those of the environment, and mcnbench itself behind them all,
    # for a repository that is not mcnbench's own.
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "behind.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{ROOT}\n")
    constraints = top / "constraints.txt"
    pinned = ["--constraint", str(constraints)] if constraints.exists() else []
    _run([python, "-m", "pip", "install", "--quiet", *pinned, str(top)], f"{name} does not build")
    return Version(name, top / inside, python)


def _git(*arguments: str, wanted: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise BadInput(f"wanted {wanted}, but git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BadInput(f"wanted {wanted}, but there is none{': ' + said[-1] if said else ''}")
    return done.stdout


def _run(command: list[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise BadInput(f"{failure}: {said[-1] if said else f'exit code {done.returncode}'}")
