"""Merges parsed facts into the domain's rows. Every merge is commutative, associative and idempotent."""
