"""A hub on the loopback interface that serves models as Hugging Face does, and that fails in every
way that a hub, a proxy or a network can. Python, no packages."""
import gzip
import hashlib
import http.server
import json
import pathlib
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 1 << 20


class File:
    """A file of a repository. `large` is how the hub keeps it: by its SHA-256, or as git does."""

    def __init__(self, data, large=True):
        self.path = data if isinstance(data, pathlib.Path) else None
        self.data = None if self.path else data
        self.size = self.path.stat().st_size if self.path else len(data)
        if large:
            digest = hashlib.sha256()
            for piece in self.pieces(0, self.size):
                digest.update(piece)
            self.hash = digest.hexdigest()
        else:
            self.hash = hashlib.sha1(b"blob %d\0" % self.size + self.data).hexdigest()
        self.large = large

    def pieces(self, first, end):
        if self.path is None:
            for at in range(first, end, PIECE):
                yield self.data[at:min(end, at + PIECE)]
            return
        with self.path.open("rb") as file:
            file.seek(first)
            while first < end:
                piece = file.read(min(PIECE, end - first))
                first += len(piece)
                yield piece


class Hub(http.server.ThreadingHTTPServer):
    """`faults` are functions of a request, each for one: the first that is left is called for each
    request of a file's bytes, and returns True if it has answered. `before` is called for each
    request of any kind, likewise."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, repositories=None, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories or {}
        self.commit = COMMIT
        self.faults, self.before = [], None
        self.storage = None  # another Hub, to which requests of large files are redirected
        self.relative_redirects = False
        self.requests = []  # (method, path, headers)
        self.lock = threading.Lock()
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://127.0.0.1:{self.server_port}"
        self.by_hash = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that has gone

    def paths(self, method="GET"):
        return [path for seen, path, _ in self.requests if seen == method]

    def file_requests(self):
        return [(path, headers) for method, path, headers in self.requests
                if method == "GET" and "/api/" not in path]

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, value, status=200, **headers):
        self.reply(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def answer(self):
        hub = self.server
        with hub.lock:
            hub.requests.append((self.command, self.path, dict(self.headers)))
        if hub.before and hub.before(self):
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            self.listing(found[1])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self.listing(found[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.resolve(found[1], found[3])
        elif found := re.fullmatch(r"/storage/([0-9a-f]+)", path):
            self.file(hub.by_hash[found[1]])
        elif found := re.fullmatch(r"/relative/([^/]+/[^/]+)/(.+)", path):
            self.file(hub.repositories[found[1]][found[2]])
        elif found := re.fullmatch(r"/plain/files/(.+)", path):
            file = hub.repositories.get("files", {}).get(found[1])
            self.file(file) if file else self.reply(404)
        else:
            self.reply(404, b"nothing is here")

    def listing(self, repo):
        files = self.server.repositories.get(repo)
        if files is None:
            self.reply_json({"error": "Repository not found"}, 404,
                            X_Error_Message="Repository not found")
            return
        siblings = []
        for name, file in files.items():
            entry = {"rfilename": name, "size": file.size, "blobId": "0" * 40}
            if file.large:
                entry["lfs"] = {"sha256": file.hash, "size": file.size, "pointerSize": 135}
            else:
                entry["blobId"] = file.hash
            siblings.append(entry)
        self.reply_json({"id": repo, "sha": self.server.commit, "private": False, "tags": [],
                         "siblings": siblings})

    def resolve(self, repo, name):
        hub = self.server
        file = hub.repositories.get(repo, {}).get(name)
        if file is None:
            self.reply(404, X_Error_Code="EntryNotFound")
            return
        linked = {"X-Repo-Commit": hub.commit}
        if file.large:
            linked |= {"X-Linked-Etag": f'"{file.hash}"', "X-Linked-Size": file.size}
        to = None
        if hub.relative_redirects and "again" not in self.path:
            to = f"/relative/{repo}/{urllib.parse.quote(name)}?again=1"
        elif hub.storage and file.large:
            hub.storage.by_hash[file.hash] = file
            # A signed address, which must come back as it is.
            to = f"{hub.storage.url}/storage/{file.hash}?X-Sig=a%2Fb+c%3D&Policy=e~_Q__"
        if to:
            self.reply(302, Location=to, **linked)
        else:
            self.file(file, linked)

    def file(self, file, headers=None):
        hub = self.server
        etag = f'"{file.hash}"'
        if self.command == "GET":
            with hub.lock:
                fault = hub.faults.pop(0) if hub.faults else None
            if fault and fault(self, file):
                return
        if self.headers.get("If-None-Match") == etag:
            self.reply(304)
            return
        first = self.first(file, etag)
        self.head(file, first, file.size - first, headers)
        if self.command == "GET":
            self.send(file, first, file.size)

    def first(self, file, etag):
        """Where the answer begins, as the headers ask for it."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not asked or int(asked[1]) >= file.size or \
                self.headers.get("If-Range", etag) != etag:
            return 0
        return int(asked[1])

    def head(self, file, first, length, headers=None):
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{file.size - 1}/{file.size}")
        self.send_header("ETag", f'"{file.hash}"')
        self.send_header("Accept-Ranges", "bytes")
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        self.end_headers()

    def send(self, file, first, end):
        if file.path is not None and self.server.scheme == "http":
            self.wfile.flush()
            with file.path.open("rb") as source:
                self.connection.sendfile(source, first, end - first)
            return
        for piece in file.pieces(first, end):
            self.wfile.write(piece)

    def cut(self, reset=True):
        """The connection ends, as a network that fails does it."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def broken_after(count, reset=False):
    """So many bytes more than are there already, and then the connection is gone."""

    def fault(handler, file):
        first = handler.first(file, f'"{file.hash}"')
        handler.head(file, first, file.size - first)
        handler.send(file, first, min(file.size, first + count))
        handler.cut(reset)
        return True

    return fault


def status(code, **headers):
    def fault(handler, _):
        handler.reply(code, b"no", **headers)
        return True

    return fault


def slow(seconds, count=8):
    """The whole file, in so many pieces over so long."""

    def fault(handler, file):
        first = handler.first(file, f'"{file.hash}"')
        handler.head(file, first, file.size - first)
        step = max(1, (file.size - first) // count)
        for at in range(first, file.size, step):
            handler.send(file, at, min(file.size, at + step))
            time.sleep(seconds / count)
        return True

    return fault


def wrong_bytes(handler, file):
    """As long as the file, and something else."""
    first = handler.first(file, f'"{file.hash}"')
    handler.head(file, first, file.size - first)
    for piece in file.pieces(first, file.size):
        handler.wfile.write(bytes(byte ^ 1 for byte in piece))
    return True


def shorter(handler, file):
    """Says a length, and sends it, that is not the file's."""
    handler.head(file, 0, file.size // 2)
    handler.send(file, 0, file.size // 2)
    return True


def longer(handler, file):
    handler.head(file, 0, file.size + 100)
    handler.send(file, 0, file.size)
    handler.wfile.write(b"x" * 100)
    return True


def chunked(data_of):
    """In chunks, without a length; `data_of` makes of the file's bytes those that are sent."""

    def fault(handler, file):
        handler.send_response(200)
        handler.send_header("ETag", f'"{file.hash}"')
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        data = data_of(file.data)
        for at in range(0, len(data), 65536):
            piece = data[at:at + 65536]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")
        return True

    return fault


def compressed(handler, file):
    """In gzip's form, which nobody asked for."""
    handler.reply(200, gzip.compress(file.data[:100_000]), ETag=f'"{file.hash}"', Content_Encoding="gzip")
    return True


def without_length(handler, file):
    """What ends with the connection could be half of it."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.send(file, 0, file.size // 2)
    return True


def whole_again(handler, file):
    """A server that knows no ranges."""
    handler.head(file, 0, file.size)
    handler.send(file, 0, file.size)
    return True


def another_range(handler, file):
    """A part of the file that was not asked for."""
    first = handler.first(file, f'"{file.hash}"')
    if first < 2:
        return False
    handler.head(file, first // 2, file.size - first // 2)
    handler.send(file, first // 2, file.size)
    return True


def range_without_range(handler, file):
    """206 that does not say of what."""
    handler.send_response(206)
    handler.send_header("Content-Length", str(file.size))
    handler.end_headers()
    handler.send(file, 0, file.size)
    return True
