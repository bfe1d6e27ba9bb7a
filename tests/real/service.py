"""One lockstep process on a published file, and what the rows of the table ask of it."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

LOCKSTEP = os.environ["LOCKSTEP"]
SESSIONS = 8
START_SECONDS = 120
PATIENCE = ("--queue-timeout", "600", "--first-token-timeout", "600", "--request-timeout", "600")


class Refused(Exception):
    """An answer other than 200: the status and the body."""


class Service:
    """A context manager: ready when entered, ended when left. Every method may be called by many
    threads, which have a connection each."""

    def __init__(self, model, *flags):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = tempfile.TemporaryFile("w+")
        self.local = threading.local()
        self.command = [LOCKSTEP, "--model", model, "--port", str(self.port), "--sessions",
                        str(SESSIONS), *PATIENCE, *map(str, flags)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSTEP_")}
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log,
                                        env=environment)

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Refused(f"{' '.join(self.command)} does not serve:\n{self.log_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def log_text(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def post(self, path, body):
        """The answer. A connection that the server has closed is made anew once."""
        data = json.dumps(body).encode()
        for fresh in (False, True):
            connection = getattr(self.local, "connection", None)
            if fresh or connection is None:
                connection = self.local.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=600)
            try:
                connection.request("POST", path, data, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read().decode()
                break
            except (http.client.HTTPException, OSError):
                connection.close()
                if fresh:
                    raise
        if reply.status != 200:
            raise Refused(f"{path}: {reply.status} {text}")
        return json.loads(text)

    def post_all(self, path, bodies):
        """The answers, in order; as many requests run at once as the server has sessions."""
        with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
            return list(pool.map(lambda body: self.post(path, body), bodies))

    def tokens(self, text, special=False, begin=False):
        return self.post("/tokenize", {"content": text, "parse_special": special,
                                       "add_special": begin})["tokens"]

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            sizes = dict(line.split(":", 1) for line in status)
        return int(sizes["VmRSS"].split()[0]) / 1024

    def _ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
        return False
