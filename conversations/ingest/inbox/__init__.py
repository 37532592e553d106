"""Stores a webhook body as rows of the inbox table with one INSERT statement; runs in the web process."""
