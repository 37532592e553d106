"""Parses Evolution API webhooks: turns a payload into facts. Pure functions: no database access, no clock."""
