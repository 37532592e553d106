"""The WSGI entry point: `gunicorn whatsai.wsgi`. Once it is imported, the process is ready for requests."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_wsgi_application()

from cachelayer import startup  # noqa: E402 - there are apps from here on

startup.start()
