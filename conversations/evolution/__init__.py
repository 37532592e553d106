"""Parses webhook bodies of Evolution API into facts, without access to the database or to the current time."""
