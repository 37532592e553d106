"""Generates demo data and posts it through the webhook endpoint."""
