"""The threads that keep a process in step with the store and with other processes."""
