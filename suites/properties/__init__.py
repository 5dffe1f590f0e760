"""The property suites: what must hold for every case of a block, whatever computes it."""
