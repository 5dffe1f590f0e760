"""Tests that others have written for the blocks, run on any backend."""
