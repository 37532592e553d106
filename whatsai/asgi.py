"""The ASGI entry point. Importing this module starts the background threads of the cache and of the ingestion."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_asgi_application()

from cachelayer import startup as cache  # noqa: E402 - Django must load the apps first
from conversations import startup as ingestion  # noqa: E402 - Django must load the apps first

cache.start()
ingestion.start()
