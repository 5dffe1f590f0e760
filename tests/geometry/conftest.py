"""The Hypothesis profile `thorough`: 2,000 chains and 500 graphs for test_three_ways.py, which take some minutes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("thorough", max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
