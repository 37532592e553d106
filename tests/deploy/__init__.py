"""Tests of the files in docs/deploy/, which put the site into production."""
