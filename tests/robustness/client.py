"""An HTTP/1.1 client to put load on a server: asyncio, one connection for each request.

While a reply comes only its pieces and their times are kept; what they say is found out afterwards,
so that one process reads hundreds of streams and leaves the processor to the server. Times are
those of time.monotonic().
"""
import asyncio
import bisect
import itertools
import json
import socket
import struct
import time


class Reply:
    """What came back for one request."""

    def __init__(self, sent, pieces, problem):
        self.sent = sent  # when the request was
        self.problem = problem  # why it is not whole: "" or a few words
        self._times = [at for at, _ in pieces]
        self._ends = list(itertools.accumulate(len(data) for _, data in pieces))
        raw = b"".join(data for _, data in pieces)
        head, found, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if found else 0  # 0: there was no answer
        self.headers = {name.lower(): value.strip()
                        for name, _, value in (line.partition(":") for line in lines[1:])}
        self.whole = False
        self._chunks = []  # (data, when it was here)
        if not found:
            self.problem = self.problem or "closed without an answer"
        elif self.headers.get("transfer-encoding") == "chunked":
            self._take_chunks(raw, len(raw) - len(rest))
        else:
            self.whole = len(rest) == int(self.headers.get("content-length", len(rest)))
            self._chunks.append((rest, self.ended))
        if not self.whole:
            self.problem = self.problem or "cut off"

    def _take_chunks(self, raw, at):
        while (line_end := raw.find(b"\r\n", at)) >= 0:
            size = int(raw[at:line_end], 16)
            at = line_end + 2
            if size == 0 or at + size > len(raw):
                self.whole = size == 0
                return
            arrived = self._times[bisect.bisect_left(self._ends, at + size)]
            self._chunks.append((raw[at:at + size], arrived))
            at += size + 2

    @property
    def ended(self):
        return self._times[-1] if self._times else self.sent

    @property
    def seconds(self):
        return self.ended - self.sent

    @property
    def body(self):
        return b"".join(data for data, _ in self._chunks)

    def json(self):
        return json.loads(self.body)

    def events(self):
        """[(time, object)] of a stream, be its events lines of JSON or server-sent events."""
        events, left = [], b""
        for data, at in self._chunks:
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                text = line.removeprefix(b"data:").strip()
                if text.startswith(b"{"):
                    events.append((at, json.loads(text)))
        return events


async def connect(port, receive_buffer=None):
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


def message(path, body=None, method=None, headers=()):
    """The bytes of a request; `body` is bytes, or an object that becomes JSON."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1", "Host: localhost",
             "Connection: close", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def request(port, path, body=None, *, timeout=60.0, reset=False, on_piece=None, stop=None,
                  method=None, headers=()):
    """Never raises for what the server does: Reply.problem says what went wrong. After `timeout`
    seconds the connection is closed, with a reset if `reset`; so a short one is a client that goes
    away. It is also closed at the first piece after the event `stop`. `on_piece()` is called
    whenever something came."""
    loop = asyncio.get_running_loop()
    sent, pieces, problem = time.monotonic(), [], ""
    try:
        async with asyncio.timeout(timeout):
            with await connect(port) as sock:
                if reset:  # close() then sends RST
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await loop.sock_sendall(sock, message(path, body, method, headers))
                while data := await loop.sock_recv(sock, 1 << 16):
                    pieces.append((time.monotonic(), data))
                    if on_piece:
                        on_piece()
                    if stop and stop.is_set():
                        break
    except TimeoutError:
        problem = f"no end within {timeout:g} s"
    except OSError as error:
        problem = error.strerror or str(error)
    return Reply(sent, pieces, problem)


async def probe_livez(port, over):
    """Asks for /livez until the event `over` is set: (the statuses, the slowest answer's seconds)"""
    statuses, slowest = set(), 0.0
    while not over.is_set():
        reply = await request(port, "/livez", timeout=10)
        statuses.add(reply.status)
        slowest = max(slowest, reply.seconds)
        await asyncio.sleep(0.02)
    return statuses, slowest
