"""Management commands for operators and developers."""
