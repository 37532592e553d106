"""Decides what a user, or the bearer of an API token, may see and change."""
