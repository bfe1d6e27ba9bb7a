"""What the tests of prefixes outside of the process share: a model with a long context, servers
one after the other, and their answers."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "robustness")]
from launch import LOCKSTEP, TALES, Process, poll  # noqa: E402,F401
from models import long_context  # noqa: E402

TOKENS = 4000
WORDS = ("once upon a time there was a little girl who lived in a house near the big green forest and "
         "every day she went out to play with her dog and saw the birds sing in the old tall trees").split()


def prompt(seed, tokens=TOKENS):
    """Ids of tokens: as many as are said, and the same ones for the same seed."""
    state, ids = seed * 7919 + 1, []
    while len(ids) < tokens:
        state = (state * 1103515245 + 12345) % 2**31
        ids.append(300 + state // 65536 % 1500)
    return ids


class Server(Process):
    def __init__(self, model, *flags, **more):
        super().__init__([LOCKSTEP, "--model", model, "--context", "8192", "--sessions", "4",
                          "--prefix-cache", "256", "--threads", "2", *flags], **more)

    def answer(self, ids, seed=1, temperature=0.8, tokens=24, key=None, salt=None):
        """The text, tokens and logprobs of an answer; its cached tokens; the seconds that it took."""
        body = {"prompt": ids, "max_tokens": tokens, "temperature": temperature, "seed": seed,
                "logprobs": 1, "return_token_ids": True}
        if salt:
            body["cache_salt"] = salt
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + "/v1/completions", json.dumps(body).encode(), headers)
        start = time.monotonic()
        with urllib.request.urlopen(request, timeout=300) as reply:
            read = json.load(reply)
        cached = read["usage"].get("prompt_tokens_details", {}).get("cached_tokens", 0)
        answer = [read["choices"][0][name] for name in ("text", "token_ids", "logprobs", "finish_reason")]
        return json.dumps(answer), cached, time.monotonic() - start

    def metrics(self):
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return {line.split()[0].removeprefix("lockstep_prefix_archive_"): float(line.split()[1])
                for line in lines if line.startswith("lockstep_prefix_archive_")}

    def written(self, least=1, seconds=60):
        """Waits until nothing more is written."""
        last, since, end = -1, time.monotonic(), time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.metrics()["written_bytes_total"]
            if now != last:
                last, since = now, time.monotonic()
            elif now >= least and time.monotonic() - since > 0.3:
                return now
            time.sleep(0.05)
        return last

    def stop(self):
        self.terminate()
        return self.exit_code(60)


class PrefixTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-prefix-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, True)
        cls.model = long_context(str(TALES), str(cls.scratch), 8192)
        cls.ids = prompt(1)
        with Server(cls.model) as server, server.log:
            cls.cold, cls.cold_cached, cls.cold_seconds = server.answer(cls.ids)
            cls.others = [server.answer(prompt(seed, 600 + 100 * seed), seed)[0] for seed in range(2, 6)]

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="folder-", dir=self.scratch))
        self.assertEqual(self.cold_cached, 0)

    def server(self, *flags, **more):
        server = Server(self.model, *(flags or ("--prefix-dir", str(self.folder))), **more)
        self.addCleanup(server.log.close)
        self.addCleanup(server.kill)
        return server

    def fill(self, *flags):
        """What a first process leaves: that of the long prompt and of the others."""
        server = self.server(*flags)
        self.assertEqual(server.answer(self.ids)[0], self.cold)
        self.all_right(server)
        server.written()
        self.assertEqual(server.stop(), 0)

    def all_right(self, server):
        """The others' answers; how many of their tokens were not computed."""
        cached = 0
        for seed, other in zip(range(2, 6), self.others):
            answer, n, _ = server.answer(prompt(seed, 600 + 100 * seed), seed)
            self.assertEqual(answer, other)
            cached += n
        return cached

    def warm(self, server):
        """The answer to the long prompt is that of the cold one; its cached tokens."""
        answer, cached, seconds = server.answer(self.ids)
        self.assertEqual(answer, self.cold)
        if cached > TOKENS * 3 // 4:
            print(f"\n  {cached} of {TOKENS} tokens from outside: {seconds:.3f} s, cold "
                  f"{self.cold_seconds:.3f} s, {seconds / self.cold_seconds:.0%}", end=" ", flush=True)
        return cached


def as_root():
    return os.geteuid() == 0


def mounted(command):
    """Whether a mount succeeded."""
    return subprocess.run(command, capture_output=True).returncode == 0
