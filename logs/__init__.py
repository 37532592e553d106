"""The logging service: one logger for each context, JSON lines, and redaction of secrets and personal data."""
