"""The code of workers: selects due events, applies them in batches, records their outcomes, deletes expired rows."""
