"""Cache-first reads: lookup, load, fill; how values are serialized; what a read reports."""
