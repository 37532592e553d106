"""Generates demo data, and posts the data to the project's webhook endpoint like Evolution does."""
