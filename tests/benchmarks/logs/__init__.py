"""The logging service against its peers: what a call costs its caller, what a disk does to it, how much is written."""
