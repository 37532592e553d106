"""Stores media files, recognizes their types, and makes thumbnails; knows nothing of messages."""
