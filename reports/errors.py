"""What a caller did wrong when asking for a report, in one sentence."""


class ReportError(ValueError):
    """A report cannot be written as asked: what was wanted, what is there, what to do."""
