"""Planted faults: what the property suites are worth is what they catch."""
