"""What the tests of models by name share: a folder, a hub and the program."""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

from hub import File, Hub

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from launch import CLIENTS_PYTHON as HUB_PYTHON  # noqa: E402,F401
from launch import LOCKSTEP, TALES, Process, free_port, poll  # noqa: E402,F401

DATA = random.Random(7).randbytes(5_000_000)
REPO = "someone/Model-GGUF"
NAME = "Model-Q4_K_M.gguf"
TOKEN = "hf_" + "a" * 34


class HubTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-hub-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.cache = self.folder / "cache"
        self.file = File(DATA)
        self.hub = self.start({REPO: {NAME: self.file, "README.md": File(b"hello", large=False)}})

    def start(self, repositories=None, certificate=None):
        hub = Hub(repositories, certificate)
        self.addCleanup(hub.close)
        return hub

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
                "HF_ENDPOINT": self.hub.url, "HF_HUB_CACHE": str(self.cache), **more}

    def lockstep(self, *arguments, prefix=(), timeout=120, **more):
        return subprocess.run([*prefix, LOCKSTEP, *arguments], capture_output=True, text=True,
                              env=self.environment(**more), timeout=timeout)

    def pulled(self, name=REPO, data=DATA, **more):
        """Pulls what must succeed; the path."""
        result = self.lockstep("pull", name, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        path = pathlib.Path(result.stdout.strip())
        self.assertEqual(path.read_bytes(), data)
        self.nothing_left()
        self.said = result.stderr
        return path

    def refused(self, *words, name=REPO, code=2, **more):
        """Pulls what must not; one sentence with these words, and no file."""
        result = self.lockstep("pull", name, **more)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        last = result.stderr.strip().splitlines()[-1]
        for word in ("lockstep pull: ", *words):
            self.assertIn(word, last)
        self.assertNotIn(TOKEN, result.stderr)
        self.assertFalse(list(self.cache.glob("models--*/snapshots/*/*.gguf")))
        self.assertFalse([blob for blob in self.cache.glob("models--*/blobs/*")
                          if not blob.name.endswith(".incomplete")])
        return result.stderr

    def nothing_left(self):
        self.assertFalse(list(self.folder.rglob("*.incomplete*")) + list(self.folder.rglob("*.tmp")))
