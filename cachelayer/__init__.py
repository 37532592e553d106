"""The one place through which rows and pages are read, so that a cache can stand beneath every reader at once."""
