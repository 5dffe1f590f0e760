"""Timed workloads: every block at the sizes it has in the networks, with pytest-benchmark."""
