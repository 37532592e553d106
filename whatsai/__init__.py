"""The project: settings from the environment, URLs, entry points for servers, the health check and `make run`."""
