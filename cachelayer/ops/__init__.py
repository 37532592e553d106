"""Tools for operators: statistics summed over all processes, and an audit of cached entries against the database."""
