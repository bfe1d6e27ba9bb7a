"""Streams that go on at another replica when theirs breaks off: two recipes to copy.

`events` needs nothing but Python; `Resuming` is a transport for httpx, by which the clients of
OpenAI and Anthropic go on without knowing of it:

    OpenAI(base_url=URL, api_key="none", http_client=httpx.Client(transport=Resuming()))
"""
import http.client
import time
import urllib.parse

try:  # as the clients call it in 2026, and before
    import httpx2 as httpx
except ImportError:
    try:
        import httpx
    except ImportError:  # `events` does without
        httpx = None

TRIES = 60
REFUSALS = (429, 502, 503, 504, 529)  # of a server or a gateway that has no place just now


def events(url, body, headers=()):
    """The events of a stream, (id, data), each once, however often it breaks off. `body` is JSON as
    bytes, the same each time."""
    address = urllib.parse.urlsplit(url)
    last = ""
    for _ in range(TRIES):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        try:
            connection.request("POST", address.path, body, {
                "Content-Type": "application/json", "Accept": "text/event-stream",
                **dict(headers), **({"Last-Event-ID": last} if last else {})})
            reply = connection.getresponse()
            if reply.status in REFUSALS:
                time.sleep(float(reply.headers.get("Retry-After", 0.2)))
                continue
            if reply.status != 200:
                raise ValueError(f"{reply.status} {reply.read()[:500]}")
            held = b""
            while piece := reply.read1():  # which fails where the stream breaks off, unlike readline
                *whole, held = (held + piece).split(b"\n\n")
                for event in whole:
                    lines = [line.partition(": ") for line in event.decode().split("\n")]
                    last = next((value for name, _, value in lines if name == "id"), last)
                    yield from ((last, value) for name, _, value in lines if name == "data")
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    raise TimeoutError(f"{url}: the stream broke off {TRIES} times")


class Resuming(httpx.BaseTransport if httpx else object):
    """Hands whole events on, and asks for the rest where the connection breaks."""

    def __init__(self, **options):
        self._inner = httpx.HTTPTransport(**options)

    def handle_request(self, request):
        request.headers["Accept"] = "text/event-stream"  # the clients ask for JSON, and get no ids
        reply = self._inner.handle_request(request)
        if not reply.headers.get("content-type", "").startswith("text/event-stream"):
            return reply
        return httpx.Response(200, headers=reply.headers, stream=_Rest(self._inner, request, reply))

    def close(self):
        self._inner.close()


class _Rest(httpx.SyncByteStream if httpx else object):
    def __init__(self, inner, request, reply):
        self._inner, self._request, self._reply = inner, request, reply

    def __iter__(self):
        held = b""
        for _ in range(TRIES):
            try:
                for piece in self._reply.stream:
                    *whole, held = (held + piece).split(b"\n\n")
                    for event in whole:
                        if event.startswith(b"id: "):
                            number = event[4:event.index(b"\n")].decode()
                            self._request.headers["Last-Event-ID"] = number
                        yield event + b"\n\n"
                yield held
                return
            except httpx.TransportError:
                held = b""
                self._reply.close()
            for _ in range(TRIES):
                try:
                    self._reply = self._inner.handle_request(self._request)
                except httpx.TransportError:
                    time.sleep(0.1)
                    continue
                if self._reply.status_code not in REFUSALS:
                    break
                self._reply.read()
                time.sleep(float(self._reply.headers.get("retry-after", 0.2)))
            if self._reply.status_code != 200:
                raise ValueError(f"{self._reply.status_code} {self._reply.read()[:500]}")
        raise TimeoutError(f"the stream broke off {TRIES} times")

    def close(self):
        self._reply.close()
