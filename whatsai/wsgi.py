"""The WSGI entry point: `gunicorn whatsai.wsgi`.

Importing this module starts the background threads of the cache and of the ingestion.
"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_wsgi_application()

from cachelayer import startup as cache  # noqa: E402 - Django must load the apps first
from conversations import startup as ingestion  # noqa: E402 - Django must load the apps first

cache.start()
ingestion.start()
