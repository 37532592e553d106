"""The ASGI entry point, for servers that speak it. Once it is imported, the process is ready for requests."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_asgi_application()

from cachelayer import startup as cache  # noqa: E402 - there are apps from here on
from conversations import startup as ingestion  # noqa: E402 - as above

cache.start()
ingestion.start()
