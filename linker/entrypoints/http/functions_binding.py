"""Requests and answers of the Functions host as values, and back."""

from __future__ import annotations

import azure.functions as func

from linker.entrypoints.http.messages import Reply, Request


def request_of(req: func.HttpRequest) -> Request:
    """Return what the host hands in: names of headers in lower case, the address as far as before /api."""
    headers = {name.lower(): value for name, value in req.headers.items()}
    return Request(req.route_params, req.params, headers, req.get_body(), str(req.url).partition("/api/")[0])


def response_of(reply: Reply) -> func.HttpResponse:
    """Return what the host sends."""
    return func.HttpResponse(
        reply.text, status_code=reply.status, headers=dict(reply.headers), mimetype=reply.media_type
    )
