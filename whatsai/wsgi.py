"""The WSGI entry point: `gunicorn whatsai.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_wsgi_application()
