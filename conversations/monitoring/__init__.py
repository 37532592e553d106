"""Metrics of the whole site, from sums and rows in the database, so that every process gives the same figures."""
