"""Sends the media of messages.

A file is content that a sender chose, so a browser is told a type from a list of safe ones, or must save the file, and
may run nothing in it. The file's name contains the hash of its content: the hash is the `ETag`.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cachelayer import track_reads
from conversations.api.authentication import SessionAuthentication, TokenAuthentication
from conversations.api.byte_range import ByteRange, UnsatisfiableRange, parse_range
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import check_instance, may_show_reads
from conversations.api.query_params import Parameters
from conversations.api.schema import ID_PARAMETER
from conversations.api.ticket_authentication import MediaTicketAuthentication
from conversations.evolution.media_names import REFERENCE, REMOVED
from conversations.evolution.thumbnails import THUMBNAIL
from conversations.media import thumbnails
from conversations.media.file_types import HEAD_BYTES, detect, download_name
from conversations.media.storage import seek_part
from conversations.models import Message
from conversations.models.stored_media import has_thumbnail, stored_name
from logs.contexts import Context
from logs.line_limit import line_limit

if TYPE_CHECKING:
    from django.core.files.base import File

CACHE_CONTROL = "private, max-age=86400, immutable"
NOT_KEPT = "private, no-store"
SANDBOX = "default-src 'none'; sandbox"
BLOCK_BYTES = 64 * 1024

log = Context.MEDIA.logger


class UnsatisfiableRangeError(APIException):
    """Answers a request for a part that the file does not have; the header says how long the file is."""

    status_code = 416
    default_detail = _("The file has no such part.")
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.headers = {"Content-Range": f"bytes */{size}"}


class GoneError(APIException):
    """Answers a request for a file that is no longer stored."""

    status_code = 410
    default_detail = _("The file is no longer stored.")
    default_code = "media_gone"


class StorageError(APIException):
    """Answers a request for a file while the storage cannot be read."""

    status_code = 503
    default_detail = _("The storage of media is not available now.")
    default_code = "unavailable"
    headers: ClassVar = {"Retry-After": "5"}


class FilePart:
    """A part of an open file, as a file that can be read once."""

    def __init__(self, file: "File[bytes]", part: ByteRange) -> None:
        seek_part(file, part.first, part.length)
        self._file = file
        self._left = part.length

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; b"" at the end of the part."""
        content: bytes = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PartResponse(FileResponse):
    """Streams a part of a file in larger blocks than Django's."""

    block_size = BLOCK_BYTES


class MediaParameters(Parameters):
    """The query parameters of media."""

    ticket = serializers.CharField(
        required=False, help_text="A media ticket, for pages that cannot send the header `Authorization`."
    )


BINARY = {(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY}
BINARY_DOCS: dict[Any, Any] = {
    **BINARY,
    304: OpenApiResponse(description="The client has the file already (`If-None-Match`)."),
    410: None,
    416: None,
}


class MediaView(APIView):
    """Base class of the endpoints that send a file of a message."""

    authentication_classes = [TokenAuthentication, MediaTicketAuthentication, SessionAuthentication]
    content_negotiation_class = JSONOnlyNegotiation  # a browser asks for `image/*`; errors are JSON all the same

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle the request and add a `Cache-Status` header (RFC 9211) about the message's row."""
        with track_reads() as reads:
            response = super().dispatch(request, *args, **kwargs)
        if may_show_reads(self.request, response.status_code):
            response["Cache-Status"] = reads.cache_status
        return response

    def handle_exception(self, exc: Exception) -> Response:
        """Return the answer to an error; a storage that cannot be read is not available."""
        if isinstance(exc, FileNotFoundError):
            exc = GoneError()
        elif isinstance(exc, OSError):
            _log_outage(exc)
            exc = StorageError()
        return super().handle_exception(exc)

    def message(self, request: Request, pk: str) -> Message:
        """Return the message whose file is asked for.

        Raises:
            NotFound: the request may not read the message, or there is none.
        """
        MediaParameters.parse(request.query_params)
        try:
            row = Message.objects.fetch(int(pk))
        except Message.DoesNotExist:
            raise NotFound from None
        check_instance(request, self, row.instance_id)
        return row


class MessageMediaView(MediaView):
    """The file that came with a message."""

    @extend_schema(
        operation_id="messages_media_retrieve", parameters=[ID_PARAMETER, MediaParameters], responses=BINARY_DOCS
    )
    def get(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the message's media file, or a part of it (`Range`).

        The content decides the type: an image, audio, video or a PDF. Other content is `application/octet-stream`, as
        an attachment. The `media` field of the message contains the MIME type that the sender claimed.
        """
        row = self.message(request, pk)
        name = stored_name(row, REFERENCE)
        if not name:
            raise GoneError if row.media.get(REMOVED) else NotFound
        return send(request, row, name)


class MessageThumbnailView(MediaView):
    """A small picture of what a message contains."""

    @extend_schema(
        operation_id="messages_thumbnail_retrieve", parameters=[ID_PARAMETER, MediaParameters], responses=BINARY_DOCS
    )
    def get(self, request: Request, pk: str) -> HttpResponseBase:
        """Download a small picture of the message's file, link or place.

        It is the one that WhatsApp sent. If there is none, it is made from the message's picture at the first request,
        with at most 320 pixels in width and height. While too many others are made, the answer is the picture itself.
        """
        row = self.message(request, pk)
        if not has_thumbnail(row):
            raise GoneError if row.media.get(REMOVED) else NotFound
        if thumbnail := stored_name(row, THUMBNAIL):
            return send(request, row, thumbnail)
        picture = stored_name(row, REFERENCE)
        try:
            return send(request, row, _made_thumbnail(picture))
        except thumbnails.BusyError:
            return send(request, row, picture, NOT_KEPT)


def _log_outage(error: OSError) -> None:
    """Log why a file cannot be read, at a bounded rate. Errors of a disk may quote paths, those of a server do not."""
    left_out = line_limit.admit("media read")
    if left_out is not None:
        text = error if type(error) in (OSError, ConnectionError) else type(error).__name__
        log.error("Media NOT READ: %s", text, extra=left_out)


def _made_thumbnail(picture: str) -> str:
    """Return the name of the file with the thumbnail of a stored picture, after making it if necessary.

    Raises:
        FileNotFoundError: the picture is no longer stored.
        OSError: the storage cannot be read or written.
        BusyError: the process makes too many other thumbnails.
    """
    name = thumbnails.made_name(picture)
    if not default_storage.exists(name):
        thumbnails.make(picture)
    return name


def send(request: Request, row: Message, name: str, cache_control: str = CACHE_CONTROL) -> HttpResponseBase:
    """Return a response with a file, or with the part of it that the request asks for.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the storage cannot be read.
        NotFound: the file is empty: no thumbnail can be made of the picture.
        UnsatisfiableRangeError: the file has no such part.
    """
    etag = f'"{name.rpartition("/")[2]}"'
    kept = {"ETag": etag, "Cache-Control": cache_control, "Vary": "Authorization, Cookie"}
    unchanged = get_conditional_response(cast("HttpRequest", request), etag=etag, response=HttpResponse(headers=kept))
    if unchanged is not None and unchanged.status_code != HTTPStatus.OK:
        return unchanged
    file = _open(name)
    try:
        size = file.size
        part = _wanted_part(request, etag, size)
        found = detect(file.read(HEAD_BYTES))
    except BaseException:
        file.close()
        raise
    sent = part or ByteRange(0, size - 1)
    media = row.media
    saved_as = download_name(_text(media.get("file_name")), f"{row.kind}-{row.pk}", found, _text(media.get("mimetype")))
    headers = {
        **kept,
        "Accept-Ranges": "bytes",
        "Content-Disposition": content_disposition_header(not found.is_inline, saved_as) or "attachment",
        "Content-Length": str(sent.length),
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
        **({"Content-Range": f"bytes {part.first}-{part.last}/{size}"} if part else {}),
    }
    status = 206 if part else 200
    if request.method == "HEAD":
        file.close()
        return HttpResponse(status=status, headers=headers, content_type=found.mimetype)
    return PartResponse(FilePart(file, sent), status=status, headers=headers, content_type=found.mimetype)


def _open(name: str) -> "File[bytes]":
    file = default_storage.open(name)
    if file.size:
        return file
    file.close()
    raise NotFound


def _wanted_part(request: Request, etag: str, size: int) -> ByteRange | None:
    """Return the part that a request asks for; None for the whole file, also if the client's part is of another file.

    Raises:
        UnsatisfiableRangeError: the file has no such part.
    """
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    try:
        return parse_range(request.headers.get("Range", ""), size)
    except UnsatisfiableRange:
        raise UnsatisfiableRangeError(size) from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
