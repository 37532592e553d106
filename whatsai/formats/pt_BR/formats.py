"""Dates with times in Brazilian Portuguese: short, because lists have several of them beside each other."""

DATETIME_FORMAT = "d/m/Y H:i"
