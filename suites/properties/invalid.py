"""The property of what a block refuses: sizes that do not fit."""

from __future__ import annotations

from suites.properties.outcome import Violated
from suites.properties.trial import Trial


def rejects_invalid(trial: Trial) -> None:
    """Sizes that do not fit raise ValueError with a message."""
    case, subject = trial.case, trial.subject
    try:
        fits = case.output_shape
    except ValueError as error:
        why = str(error)
    else:
        raise AssertionError(f"the case is valid, with y of shape {fits}: {case}")
    arrays = [None if a is None else subject.backend.from_numpy(a) for a in case.inputs()]
    try:
        returned = subject.function(*arrays, **subject.keywords(case.options))
    except ValueError as error:
        if not str(error):
            raise Violated(f"ValueError without a message; what is wrong: {why}") from error
        trial.tally.told("refusals")
        return
    except (NotImplementedError, MemoryError):
        raise
    except Exception as error:  # any other exception is the wrong one
        raise Violated(f"wanted ValueError ({why}), got {type(error).__name__}: {error}") from error
    y = returned[0] if isinstance(returned, tuple | list) and returned else returned
    shape = f" of shape {tuple(y.shape)}" if hasattr(y, "shape") else ""
    raise Violated(f"wanted ValueError ({why}), got a result{shape}")
