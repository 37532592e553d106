"""Tests that a release works with the schema of the next one, so that an upgrade needs no downtime."""
