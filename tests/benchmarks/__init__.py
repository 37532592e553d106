"""Measurements, run by `make bench` and not part of the test run; each compares with a floor taken in the same run."""
