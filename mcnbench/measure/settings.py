"""What an experiment of kind "training-speed" is asked to do: the keys of its file, changed by the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mcnbench import duration, experiment, machine, network
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure.judging import Check


def _seconds(value: Any) -> Any:
    return duration.seconds(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A number, or a duration such as 7m30s."""


class Quick(BaseModel):
    """What `--quick` changes."""

    model_config = ConfigDict(extra="forbid")

    batch_divisor: int = Field(ge=1)
    check: dict[str, Any]
    budget: str | float


class OnDevice(BaseModel):
    """What `--device cuda` changes."""

    model_config = ConfigDict(extra="forbid")

    backends: list[str] = Field(min_length=1)
    peer: str
    batch_multiples: list[int] = Field(min_length=1)
    budget: str | float


class Settings(BaseModel):
    """What an experiment of this kind is asked to do: the keys of its file, and the options of the command line."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str = ""
    networks: list[str] = Field(min_length=1)
    backends: list[str] = Field(min_length=1)
    peer: str
    batch: Literal["published"] | int = "published"
    batch_divisor: int = Field(default=1, ge=1)
    batch_multiples: list[Annotated[int, Field(ge=1)]] = [1]
    """Each network is measured at each of these multiples of its batch."""
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    budget: Seconds
    time_limit: Seconds
    seed: int = 0
    threads: int
    images: str | None = None
    inherit_env: bool = False
    check: Check = Check()
    precision: float = Field(default=0.01, gt=0)
    """No more visits to a case whose ratios are known to this (relative half width of Student's 95% interval)."""

    def batch_of(self, net: network.Network) -> int:
        """Images per step of a network: the published batch, or a part of it, or what was asked for."""
        return max(1, net.batch // self.batch_divisor) if self.batch == "published" else self.batch


def read(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool) -> Settings:
    """The file's keys, changed by `--quick` and then by the options given; what cannot be measured is refused."""
    where = f"experiment '{name}'"
    content = {key: value for key, value in content.items() if key != "kind"}
    if quick:
        content |= experiment.check(Quick, content.pop("quick", {}), f"{where}, table 'quick'").model_dump()
    content.pop("quick", None)
    on_device = content.pop("cuda", None)
    if given.get("device", content.get("device")) == "cuda" and on_device is not None:
        content |= experiment.check(OnDevice, on_device, f"{where}, table 'cuda'").model_dump()
    settings = experiment.check(Settings, {"threads": machine.cores_allowed(), **content, "name": name, **given}, where)
    some_threads(settings.threads)
    named_once({"networks": settings.networks, "backends": settings.backends})
    some_time(settings.budget)
    if settings.batch == 0:
        raise NothingDone("nothing to run: a batch of 0 images")
    if settings.batch != "published" and settings.batch < 0:
        raise BadInput(f"wanted a batch of at least 1 image, got {settings.batch}")
    return settings


def named_once(options: Mapping[str, Sequence[Any]]) -> None:
    """Raises BadInput for a value that one of the options has twice."""
    for option, values in options.items():
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise BadInput(f"'{twice[0]}' is named twice among the {option}; name each once")


def some_threads(threads: int) -> None:
    """Raises BadInput for none, and for more than there are cores, which would fight for them."""
    cores = machine.cores_allowed()
    if not 1 <= threads <= cores:
        raise BadInput(f"wanted at least 1 thread and at most {cores}, a core for each, got {threads}")


def some_time(seconds: float) -> float:
    if seconds == 0:
        raise NothingDone("nothing to run: a budget of 0 seconds")
    return seconds
