"""The implementations that are measured first: our own. They know nothing of the harness."""
