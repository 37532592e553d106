"""Serializers that convert database rows to JSON: one module per resource."""
