"""Writes: intents in the store, Django's transactions, and the outbox for what the store could not be told."""
