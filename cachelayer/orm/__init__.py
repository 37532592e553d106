"""Connects Django's ORM to the cache: the base model, managers, querysets, invalidation rules, signal receivers."""
