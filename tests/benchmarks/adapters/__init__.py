"""Adapters: how each peer reads and writes, using its interface as its documentation shows.

An adapter has the methods that its peer is measured at: `row(pk)`, `many(pks)`, `page(instance)`, `save(row)` and
`value(key)`. `clear()` returns whether clearing by pattern removes the matching keys and no others.
"""
