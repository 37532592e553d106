"""How each peer reads and writes: one module a way, the most natural use of its interface.

What a side has of `row(pk)`, `many(pks)`, `page(instance)`, `save(row)` and `value(key)`, it is measured at. `clear()`
tells whether clearing by pattern clears what it should, and nothing else.
"""
