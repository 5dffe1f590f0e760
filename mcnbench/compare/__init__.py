"""Comparing two versions of a backend: from two run files, or measured interleaved, with a verdict per case."""
