"""One lockstep process on a published file, and what the rows of the table ask of it."""
import concurrent.futures
import http.client
import json
import os
import sys
import threading

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from launch import Process  # noqa: E402

LOCKSTEP = os.environ["LOCKSTEP"]
SESSIONS = 8
START_SECONDS = 120
PATIENCE = ("--queue-timeout", "600", "--first-token-timeout", "600", "--request-timeout", "600")


class Refused(Exception):
    """An answer other than 200: the status and the body."""


class Service(Process):
    """A context manager: ready when entered, ended when left. Every method may be called by many
    threads, which have a connection each."""

    def __init__(self, model, *flags):
        super().__init__([LOCKSTEP, "--model", model, "--sessions", SESSIONS, *PATIENCE, *flags],
                         seconds=START_SECONDS)
        self.local = threading.local()

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
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            sizes = dict(line.split(":", 1) for line in status)
        return int(sizes["VmRSS"].split()[0]) / 1024
