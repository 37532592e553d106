"""The logging service: one logger per context, JSON lines, secrets and personal data redacted."""
