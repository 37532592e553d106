"""The production topology on one machine, without containers: PostgreSQL, Valkey, web processes and ingest workers.

For developers: the programs of PostgreSQL and Valkey come from wheels that only the development packages have.
"""
