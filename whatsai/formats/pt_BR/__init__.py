"""The formats of Brazilian Portuguese."""
