"""The logging service: one logger per context, JSON lines, and nothing secret in any of them."""
