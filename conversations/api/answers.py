"""Answers GET requests from the cache of rendered answers, before Django's views run.

An answer of a route in `ROUTES` is stored with the tags of all rows that were read to render it
(`cachelayer.answers`). One round trip to the store confirms both what the token may see and the stored answer. So a hit
sends no query, renders nothing, and is never behind the database. An answer depends on who asks in one of two ways:

* by row: its view checks the row's instance (`check_instance`). The instances are stored beside the answer, and a hit
  is used only if the token may read them.
* by what the token may read: the set of readable instances is part of the answer's name.

A view that reads something without the cache still answers, but its answer is not stored. Nor are answers that exceed
what one user may add to the store, because each spelling of a query string has an answer of its own. A new route needs
only a line in `ROUTES`.
"""

import json
import re
from collections.abc import Callable
from hashlib import blake2b, sha256
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

from cachelayer import Answers, Found, cache
from cachelayer.answers import Answer
from cachelayer.protocol.answers import etag_of
from conversations.access.policy import Access
from conversations.access.reading import Bearer, find_snapshot, load_bearer, snapshots
from conversations.api.authentication import bearer_of_request, request_token
from conversations.api.permissions import AccessUse
from conversations.cache_policy import ANSWERS
from conversations.models import Scope
from logs.binding import bind
from logs.fork import after_fork
from logs.token_buckets import TokenBuckets

# The routes below `/api/v1/`, as regular expressions without the last slash.
BY_ROW = (
    "(?:instances|contacts|conversations|messages)/[0-9]{1,19}",
    "conversations/[0-9]{1,19}/(?:messages|participants)",
)
BY_ACCESS = (
    "(?:instances|contacts|conversations|messages)",
    "conversations/counters",
    "search/(?:contacts|conversations|messages)",
)
ROUTES = re.compile(rf"/api/v1/(?:(?P<row>{'|'.join(BY_ROW)})|{'|'.join(BY_ACCESS)})/?\Z")

PREFIX = "/api/"
OK = 200
HIT = "whatsai; hit; detail=answer"
MAX_ETAGS_CHARS = 1000
WINDOW = 60.0  # seconds
STORED_BYTES = 30_000_000  # that the answers to one user may add to the store in a window

GetResponse = Callable[[HttpRequest], HttpResponse]


def code_fingerprint() -> str:
    """Return a hash of the code and the settings that decide how rows are rendered."""
    digest = sha256()
    for path in sorted(Path(__file__).resolve().parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    packages = [version(name) for name in ("django", "djangorestframework")]
    digest.update(repr((packages, settings.TIME_ZONE, settings.LANGUAGE_CODE, settings.REST_FRAMEWORK)).encode())
    return digest.hexdigest()[:16]


answers = Answers(ANSWERS, code_fingerprint())
stored = TokenBuckets(WINDOW)  # one for each user's primary key; a token stands for a byte
after_fork(stored.reset)


def middleware(get_response: GetResponse) -> GetResponse:
    """Answer requests of the routes from the cache if possible; store the answers that the views give."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"} or not request.path_info.startswith(PREFIX):
            return _call(request, get_response)
        route = ROUTES.match(request.path_info)
        token = request_token(request.META.get("HTTP_AUTHORIZATION", "")) if route else None
        if route is None or not token:
            return _conditional(request, _call(request, get_response))
        is_by_row = route["row"] is not None
        etags = request.META.get("HTTP_IF_NONE_MATCH", "")[:MAX_ETAGS_CHARS]
        bearer, found = _look_up(request, token, etags, is_by_row=is_by_row)
        request.bearer = bearer  # type: ignore[attr-defined]  # for `TokenAuthentication`
        if bearer is None or not bearer.access.has_scope(Scope.READ):
            return get_response(request)
        if found.answer is not None:
            notes = json.loads(found.answer.notes)
            if all(map(bearer.access.allows, notes["instances"])):
                return _hit(request, bearer, found.answer, notes["headers"])
        response = _render(request, get_response, bearer.access, found, is_by_row=is_by_row)
        return _conditional(request, response)

    return answer


def _call(request: HttpRequest, get_response: GetResponse) -> HttpResponse:
    """Call the view. A client that does not want what may be behind is not answered from the local cache."""
    if "no-cache" not in request.META.get("HTTP_CACHE_CONTROL", ""):
        return get_response(request)
    with cache.fresh():
        return get_response(request)


# --- lookup -----------------------------------------------------------------------------------------------------------
def _look_up(request: HttpRequest, token: str, etags: str, *, is_by_row: bool) -> tuple[Bearer | None, Found]:
    """Return whose token it is, and the stored answer to the request. With a snapshot, this takes one round trip."""
    is_known = hasattr(request, "bearer")  # a middleware has looked the token up for this request
    snapshot = None if is_known else find_snapshot(token)
    if snapshot is not None:
        bearer = snapshot.value
        found = answers.look_up(_key(request, bearer.access, is_by_row=is_by_row), etags, snapshot.tags)
        if snapshots.is_confirmed(snapshot, found.states):
            return bearer, found
    loaded = bearer_of_request(request, token, load_bearer)
    if loaded is None:
        return None, Found()
    return loaded, answers.look_up(_key(request, loaded.access, is_by_row=is_by_row), etags)


def _key(request: HttpRequest, access: Access, *, is_by_row: bool) -> str:
    """Return the key of the answer, which depends on all that the view depends on besides the rows.

    Pages contain their own URL, so the answer depends on the host. Values are hashed, because search terms must not be
    readable on the Redis server.
    """
    readable = "" if is_by_row else access.readable_key
    parts = (request.scheme, request.get_host(), request.path_info, request.META.get("QUERY_STRING", ""), readable)
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _hit(request: HttpRequest, bearer: Bearer, answer: Answer, headers: dict[str, str]) -> HttpResponse:
    answers.count_hit()
    bind(user=bearer.user.pk)
    request.user = bearer.user
    headers |= {"Cache-Status": HIT, "ETag": f'"{answer.etag}"'}
    if answer.content is None or _is_known(request, headers["ETag"]):
        return _not_modified(headers)
    return HttpResponse(answer.content, headers=headers)


# --- rendering --------------------------------------------------------------------------------------------------------
def _render(
    request: HttpRequest, get_response: GetResponse, access: Access, found: Found, *, is_by_row: bool
) -> HttpResponse:
    """Call the view, and store its answer."""
    use = AccessUse()
    request.access_use = use  # type: ignore[attr-defined]  # for `permissions`
    with answers.collecting(found) as collected:
        response = get_response(request)
    is_keyed = bool(use.checked) and not use.is_general if is_by_row else True
    is_storable = response.status_code == OK and is_keyed and not response.streaming and not response.cookies
    if is_storable and _may_store(access, len(response.content)):
        headers = {name: value for name, value in response.items() if name != "Cache-Status"}
        notes = json.dumps({"instances": sorted(use.checked), "headers": headers}).encode()
        answers.store(_key(request, access, is_by_row=is_by_row), response.content, notes, collected)
    return response


def _may_store(access: Access, size: int) -> bool:
    """Count the bytes of an answer, and return whether it may be stored; each web process grants its share."""
    rate = STORED_BYTES / WINDOW / settings.WEB_PROCESSES
    return stored.try_take(access.user_id, rate, size).has_token


# --- validators -------------------------------------------------------------------------------------------------------
def _conditional(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Add the ETag to an answer with status 200; leave out the content if the client has it already."""
    if response.status_code != OK or response.streaming:
        return response
    if "ETag" not in response:
        response["ETag"] = f'"{etag_of(response.content)}"'
    return _not_modified(dict(response.items())) if _is_known(request, response["ETag"]) else response


def _is_known(request: HttpRequest, etag: str) -> bool:
    known = request.META.get("HTTP_IF_NONE_MATCH", "")
    return known.strip() == "*" or etag in known


def _not_modified(headers: dict[str, str]) -> HttpResponse:
    return HttpResponseNotModified(headers={name: headers[name] for name in headers if not name.startswith("Content-")})
