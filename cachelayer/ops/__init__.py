"""What operators look at: statistics of all processes, and the audit of cached entries against the database."""
