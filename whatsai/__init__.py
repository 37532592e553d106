"""The project: settings from the environment, URLs, the WSGI entry point, health and the one-command start."""
