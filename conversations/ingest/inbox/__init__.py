"""Stores a webhook body as rows of the inbox table with one insert; runs in the web process."""
