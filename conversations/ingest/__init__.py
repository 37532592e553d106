"""Ingestion: turns stored webhook events into rows. The same events in any order, repeated or not, give the same rows.

The web process stores each webhook body (package `inbox`). Workers take due events in batches and parse them (package
`worker`), then merge the parsed facts into rows (package `apply`). `worker` imports `apply`; `inbox` imports neither
`worker` nor `apply`. No module of `ingest` uses HTTP.
"""
