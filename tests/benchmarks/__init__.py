"""Benchmarks, run by `make bench*` and not with the tests. Each compares with a baseline measured in the same run."""
