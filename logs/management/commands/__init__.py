"""The management commands of the logging service."""
