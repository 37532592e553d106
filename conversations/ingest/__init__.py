"""Ingestion: turns stored webhook events into rows. The same events in any order, repeated or not, give the same rows.

The web process stores each webhook body (`inbox`). Workers take due events in batches and parse them (`worker`), then
merge the parsed facts into rows (`apply`). `worker` imports `apply`; `inbox` imports neither. Nothing here uses HTTP.
"""
