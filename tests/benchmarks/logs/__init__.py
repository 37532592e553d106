"""Compares the logging service with its peers: time per call, calls during a disk stall, throughput."""
