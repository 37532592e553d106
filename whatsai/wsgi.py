"""The WSGI entry point: `gunicorn whatsai.wsgi`. Once it is imported, the process is ready for requests."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_wsgi_application()

from cachelayer import startup as cache  # noqa: E402 - there are apps from here on
from conversations import startup as ingestion  # noqa: E402 - as above

cache.start()
ingestion.start()
