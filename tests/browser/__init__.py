"""Tests of the admin in a real browser, against a whole server. They are skipped without Chromium."""
