"""A shop's back end with Django in one file: one client for each worker process, feedback in the background.

Run with: ENDCAP_URL=localhost:8001 python examples/django_shop/shop.py runserver
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from functools import cache

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from endcap_client import BufferFull, Client, EndcapError, InvalidRequest
from endcap_client.feedback_stream import FeedbackStream

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only-for-this-example"),
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    )
    django.setup()


@cache
def shop() -> Client:
    """The client of this process. Made at the first request: a client does not survive a server's fork()."""
    servers = os.environ.get("ENDCAP_URL", "localhost:8001").split(",")
    # A shopper waits no longer for better products than this.
    client = Client(servers, timeout=float(os.environ.get("ENDCAP_TIMEOUT", "0.5")))
    atexit.register(client.close)
    return client


@cache
def feedback() -> FeedbackStream:
    """The stream of this process; closing the client sends what waits in it."""
    return shop().feedback_stream()


@require_GET
def search(request: HttpRequest) -> JsonResponse:
    """Products for a query. The page stays up when Endcap does not answer."""
    try:
        found = shop().search(
            request.GET.get("q", ""), user=request.GET.get("user"), k=20, fields=["title", "price"]
        )
    except InvalidRequest as error:
        return JsonResponse({"error": str(error)}, status=422)
    except EndcapError:
        return JsonResponse({"items": [], "degraded": True})
    items = [{"id": item.id, **(item.product or {})} for item in found]
    return JsonResponse({"items": items, "degraded": False})


# A real shop keeps the check and sends the token with the event.
@csrf_exempt
@require_POST
def events(request: HttpRequest) -> JsonResponse:
    """Takes an event; it is stored a moment later."""
    try:
        feedback().add(json.loads(request.body), timeout=0.1)
    except (ValueError, TypeError) as error:
        return JsonResponse({"error": str(error)}, status=422)
    except BufferFull:
        return JsonResponse({"error": "try again"}, status=503)
    return JsonResponse({"status": "taken"}, status=202)


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    """For a load balancer."""
    return JsonResponse({"search": shop().ready()})


urlpatterns = [path("search", search), path("events", events), path("health", health)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
