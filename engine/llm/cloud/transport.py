"""How requests to providers travel. Imports httpx, so it is itself imported with litellm."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.request import getproxies, proxy_bypass

import httpx

from engine.llm.cloud.access import is_loopback
from engine.llm.cloud.line import Line, current_line

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)
"""A connection for each request: hanging up then ends no other's, and none has gone stale. How many is the gate's affair."""

_REDIRECTS = "The server redirects to another address; a conversation goes only where you said."


class _HeardStream(httpx.SyncByteStream):
    """An answer that its line hears, too."""

    def __init__(self, stream: httpx.SyncByteStream, line: Line) -> None:
        self._stream, self._line = stream, line

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            self._line.heard(data)
            yield data

    def close(self) -> None:
        self._stream.close()


class ProviderTransport(httpx.BaseTransport):
    """Follows no redirect, keeps no cookie, and takes the environment's proxy to other machines only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_proxy: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on the line of this thread."""
        line = current_line()
        if line is not None:
            request.extensions = {**request.extensions, "trace": line.trace}
            request.headers["accept-encoding"] = "identity"  # so that the line can look for the answer's end
        response = self._way_to(request.url).handle_request(request)
        if line is not None and isinstance(response.stream, httpx.SyncByteStream):
            line.answered(response.stream)
            if response.headers.get("content-encoding", "identity") == "identity":
                response.stream = _HeardStream(response.stream, line)
        if response.has_redirect_location:
            response.close()
            return httpx.Response(400, json={"error": {"message": _REDIRECTS}}, request=request)
        response.headers.pop("set-cookie", None)
        return response

    def close(self) -> None:
        """Nothing: no connection is kept, and litellm closes clients that share this transport."""

    def _way_to(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxy = None if is_loopback(url.host) or proxy_bypass(url.host) else getproxies().get(url.scheme)
        with self._lock:
            if proxy not in self._by_proxy:
                self._by_proxy[proxy] = httpx.HTTPTransport(proxy=proxy, limits=_LIMITS)
            return self._by_proxy[proxy]
