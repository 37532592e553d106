"""Benchmarks, run by `make bench*`. Each benchmark compares its results with a baseline measured in the same run."""
