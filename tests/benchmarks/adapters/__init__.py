"""Adapters of the benchmarked libraries (peers). An adapter calls its library as the library's documentation shows.

An adapter has the methods that the benchmark measures: `row(pk)`, `many(pks)`, `page(instance)`, `save(row)` and
`value(key)`. `clear()` clears cache keys by pattern, and returns the fraction of keys that were handled correctly.
"""
