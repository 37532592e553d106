"""Sends changes to other programs as webhooks: each subscription gets its changes in order, and at least once."""
