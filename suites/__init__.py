"""What is run: property suites, throughput suites and planted faults."""
