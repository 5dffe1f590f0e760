"""Measuring: a worker process per backend, driven in lock step, verified before and after."""
