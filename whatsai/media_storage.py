"""Reads `MEDIA_STORAGE_URL`: where media files are stored, if not in the folder `MEDIA_DIR`."""

from gettext import gettext as _
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SCHEME = "s3"
PARAMETERS = {"endpoint": "endpoint_url", "region": "region_name"}  # in the URL → in django-storages
FOLDER: dict[str, Any] = {"BACKEND": "conversations.media.storage.MediaStorage"}


def storage(url: str) -> dict[str, Any]:
    """Return Django's description of the storage of media files (an item of `STORAGES`).

    Args:
        url: "" for the folder, or `s3://bucket/prefix?endpoint=https://host&region=name`; all but the bucket may be
            missing. The credentials are in the variables that all programs for S3 read, such as `AWS_ACCESS_KEY_ID`.

    Raises:
        ValueError: the URL is wrong, or django-storages is not installed.
    """
    if not url:
        return FOLDER
    parts = urlsplit(url)
    if parts.scheme != SCHEME or not parts.hostname:
        raise ValueError(_("must have the form s3://bucket/prefix?endpoint=https://host&region=name"))
    if parts.username or parts.password or parts.port:
        raise ValueError(_("must have no user, password or port; set AWS_ACCESS_KEY_ID, and the port in `endpoint`"))
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - PARAMETERS.keys():
        raise ValueError(_("has unknown parameters: %(names)s") % {"names": ", ".join(sorted(unknown))})
    if not options.get("endpoint", "https://").startswith(("https://", "http://")):
        raise ValueError(_("has an endpoint that is no http:// or https:// URL"))
    if find_spec("storages") is None or find_spec("boto3") is None:
        raise ValueError(_("needs the package django-storages[s3]"))
    named = {PARAMETERS[name]: value for name, value in options.items()}
    return {
        "BACKEND": "conversations.media.s3.S3MediaStorage",
        "OPTIONS": {"bucket_name": parts.hostname, "location": parts.path.strip("/"), **named},
    }
