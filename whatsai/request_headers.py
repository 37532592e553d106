"""Removes the parameters of Content-Type, with which a client would choose how Django decodes its request.

Django decodes query strings and forms with the `charset` of the request. Some of Python's codecs take quadratic time,
others raise errors or yield characters that databases reject. This site accepts only UTF-8: JSON has no other charset,
and browsers send forms in the charset of the page. No form of this site is sent as multipart, which has a `boundary`.
"""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]


def without_charset(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an ASGI scope, with nothing but the media type in Content-Type."""
    return [(name, value.partition(b";")[0] if name == b"content-type" else value) for name, value in headers]
