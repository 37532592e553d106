"""A next release: today's code with columns, tables, indexes and triggers that today's release does not know."""
