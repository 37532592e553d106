"""Ingestion: events into rows. Applying events is a join: any order and any repetition end in the same rows.

What an event says is read in `conversations.evolution` (pure); what a row becomes by it is decided in `joins` (pure);
only `apply` reads and writes. Nothing here knows of HTTP.
"""
