"""What the tests of several models share: a folder of models, and a parent that serves it."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from launch import CLIENTS_PYTHON as SDK_PYTHON  # noqa: E402,F401
from launch import LOCKSTEP, TALES, Process, poll  # noqa: E402,F401

# A few sessions of a small context; and plain kernels, by which a small model computes slowly.
SMALL = ("--threads", "1", "--sessions", "4", "--context", "512", "--prefix-cache", "0")
SLOW = ("--isa", "scalar")


class Reply:
    def __init__(self, reply):
        self.status, self.body = reply.status, reply.read()
        self.headers = {name.lower(): value for name, value in reply.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)


def ask(port, method, path, body=None, headers=None, timeout=60):
    if isinstance(body, dict):
        body = json.dumps(body)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        return Reply(connection.getresponse())


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as text:
            return text.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class ModelsTest(unittest.TestCase):
    FILES = ("a.gguf", "b.gguf", "inner/c.gguf")
    FLAGS = SMALL

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-models-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.models = self.folder / "models"
        for name in self.FILES:
            path = self.models / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(TALES)

    def start(self, *flags, **arguments):
        command = [LOCKSTEP, "--models-dir", self.models, *self.FLAGS, *flags]
        server = Process(command, environment={"HF_HUB_CACHE": str(self.folder / "hub"),
                                               "XDG_CACHE_HOME": str(self.folder / "cache")},
                         **arguments)
        self.addCleanup(server.log.close)
        self.addCleanup(server.kill)
        return server

    def states(self, server, **headers):
        listed = ask(server.port, "GET", "/v1/models", headers=headers).json["data"]
        return {model["id"]: model["status"]["value"] for model in listed}

    def generate(self, server, model, **more):
        """The reply to a short prompt for the model."""
        body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8, "seed": 1, **more}
        return ask(server.port, "POST", "/v1/completions", body)

    def generated(self, server, model, **more):
        reply = self.generate(server, model, **more)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json["choices"][0]["text"]

    def at_once(self, count, call):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(call, range(count)))

    def children(self, server):
        """The pids of the processes that the server has started, by its model's file."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat") as text:
                    fields = text.read().rpartition(")")[2].split()
                if int(fields[1]) != server.pid or fields[0] == "Z":
                    continue
                with open(f"/proc/{entry}/cmdline") as text:
                    words = text.read().split("\0")
                path = next(word for word in words if word.startswith("--model="))
                found[pathlib.Path(path[8:]).stem] = int(entry)
        return found

    def metric(self, server, name):
        text = ask(server.port, "GET", "/metrics").body.decode()
        return float(next(line.rpartition(" ")[2] for line in text.splitlines()
                          if line.startswith(name + " ")))

    def running(self, server, model="a"):
        """Requests that the model's own process computes."""
        text = ask(server.port, "GET", "/metrics?model=" + model).body.decode()
        return float(re.search(r"^lockstep_sessions_used (\S+)$", text, re.M)[1])

    def eventually(self, condition, seconds=20):
        self.assertIsNotNone(poll(condition, seconds), f"not within {seconds} s")
