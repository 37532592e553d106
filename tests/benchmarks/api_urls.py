"""The routes of `api_server`: those of the project, and views that answer constants, with which the API is compared."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.views import APIView

from tests.benchmarks.api_authentication import MemoryAuthentication
from whatsai import urls as project

_bodies: dict[str, bytes] = {}  # the content that each constant view answers, by the path of its original


class Constant(APIView):
    """Answers the bytes that the original path has answered once."""

    authentication_classes = [MemoryAuthentication]

    def get(self, request: Request, original: str) -> HttpResponse:
        """Return the constant; read it from the original path at the first request."""
        body = _bodies.get(original)
        if body is None:
            body = _bodies[original] = _read(request._request, original)  # noqa: SLF001 - documented by DRF
        return HttpResponse(body, content_type="application/json")


def _read(request: HttpRequest, original: str) -> bytes:
    from django.test import Client  # noqa: PLC0415 - only the first request needs it

    answer: Any = Client(headers={"Authorization": request.META["HTTP_AUTHORIZATION"]}).get(
        f"/api/v1/{original}", request.GET, headers={"Host": request.get_host()}
    )
    content: bytes = answer.content
    return content


urlpatterns = [path("api/constant/<path:original>", Constant.as_view()), *project.urlpatterns]
