"""Compares the project's logging with other libraries: time per call, calls during a disk stall, throughput."""
