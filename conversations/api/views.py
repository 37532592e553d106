"""The answer to paths under `/api/` that have no route."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from conversations.api.problems import problem, problem_response


@csrf_exempt  # without a session there is nothing to protect, and the answer to any method is the same
def not_found(_request: HttpRequest) -> HttpResponse:
    """Return a 404 response in JSON for a path under `/api/` that has no route."""
    return problem_response(problem(404, _("Not found. The API is documented at /api/docs/.")))
