"""Selects due events, applies them in batches, records their outcomes and deletes expired rows; runs in workers."""
