"""The Django project: settings, URL routes, WSGI and ASGI entry points, the health check and `make run`."""
