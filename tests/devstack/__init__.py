"""Runs PostgreSQL, Valkey, web processes and ingest workers on one machine, as in production but without containers.

Use this package only for development, because the binaries of PostgreSQL and Valkey are development dependencies.
"""
