"""Django's ORM with the cache: the base model, managers, querysets, invalidation rules and their signals."""
