"""The operations on each model. Reads go through `cachelayer.FetchManager`; writes return the row as it now is."""

PAGE = 50  # rows a page, unless told otherwise
