"""Commands of the logs."""
