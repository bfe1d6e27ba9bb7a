"""The script of the init container that fetches a model, with a server of files that breaks off."""
import hashlib
import http.server
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

from manifests import environment_of, pod_of, render

SHA = "0123456789abcdef" * 4
FETCHED = {"file": "qwen/m.gguf", "download": {"url": "https://example.org/m.gguf", "sha256": SHA}}


class Files(http.server.BaseHTTPRequestHandler):
    """One file, in parts for who asks; `cut` breaks the first answer off in its middle."""
    content = bytes(range(256)) * 4000
    served = 0
    cut = False

    def do_GET(self):
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        if Files.cut:
            Files.cut = False
            body = body[:len(body) // 2]
        Files.served += len(body)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Download(unittest.TestCase):
    """As rendered, but for what its variables say."""

    def setUp(self):
        (container,) = pod_of(render({"model": FETCHED}))["spec"]["initContainers"]
        self.command = container["command"] + container["args"]
        self.assertEqual(environment_of(container), {
            "FILE": "/models/qwen/m.gguf", "URL": "https://example.org/m.gguf", "SHA256": SHA})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.folder.name) / "qwen/m.gguf"
        Files.served, Files.cut = 0, False

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def fetch(self, content=Files.content):
        return subprocess.run(self.command, capture_output=True, text=True, env={
            "PATH": os.environ["PATH"], "FILE": str(self.file), "SHA256": hashlib.sha256(content).hexdigest(),
            "URL": f"http://127.0.0.1:{self.server.server_port}/m.gguf"})

    def test_fetches_once(self):
        for _ in range(2):
            done = self.fetch()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.file.read_bytes(), Files.content)
        self.assertEqual(Files.served, len(Files.content))
        self.assertEqual(list(self.file.parent.iterdir()), [self.file])

    def test_goes_on_where_it_was_cut(self):
        Files.cut = True
        done = self.fetch()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.file.read_bytes(), Files.content)
        self.assertEqual(Files.served, len(Files.content))

    def test_another_file_is_not_left_there(self):
        done = self.fetch(b"another")
        self.assertEqual(done.returncode, 1)
        self.assertIn("has another SHA-256 than", done.stderr)
        self.assertEqual(list(self.file.parent.iterdir()), [])

    def test_an_old_file_is_replaced(self):
        self.file.parent.mkdir()
        self.file.write_bytes(b"old")
        self.assertEqual(self.fetch().returncode, 0)
        self.assertEqual(self.file.read_bytes(), Files.content)
