"""What everybody else notices of an attack: how long /livez takes, and how long streams pause.

It looks from a process of its own, because the one that attacks makes bodies and reads answers
meanwhile, and would take its own delays for the server's."""
import asyncio
import json
import os
import subprocess
import sys

from client import probe_livez, request
from server import expect
from traffic import generation

LIVEZ_SECONDS, GAP_SECONDS = 0.1, 0.3
STREAMS = 2


class Watch:
    """A context manager: watches until it is left, and then has the statuses that others got, the
    slowest /livez and the longest gap between two tokens."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        command = [sys.executable, "-B", os.path.abspath(__file__), str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         env=os.environ | {"PYTHONPATH": ":".join(sys.path)})
        self._process.stdout.readline()  # it has begun
        return self

    def __exit__(self, *_):
        seen = json.loads(self._process.communicate(timeout=120)[0])
        self.probes, self.streams = seen["probes"], seen["streams"]
        self.livez, self.gap = seen["livez"], seen["gap"]

    def __str__(self):
        return f"/livez {self.livez * 1000:.0f} ms, gaps {self.gap * 1000:.0f} ms"

    @property
    def is_short(self):
        return self.livez < LIVEZ_SECONDS and self.gap < GAP_SECONDS


async def beside(port, attack, refusals=()):
    """Runs attack(n), n = 0, 1, ..., until one leaves others their time: (what it returned, words).
    What an attack costs is there in each of three tries; what other programs take may not be."""
    for n in range(3):
        with Watch(port) as watch:
            result = await attack(n)
        expect(watch.probes == [200] and {200} <= set(watch.streams) <= {200, *refusals},
               f"others got {watch.probes} for /livez and {watch.streams} for streams")
        if watch.is_short:
            return result, str(watch)
    expect(False, f"{watch}; expected below {LIVEZ_SECONDS * 1000:.0f} and"
                  f" {GAP_SECONDS * 1000:.0f} ms in one of 3 tries")


async def look(port):
    streams, longest = set(), 0.0
    over = asyncio.Event()

    async def stream():
        nonlocal longest
        while not over.is_set():
            reply = await request(port, "/generate", generation("Once", 400, stream=True))
            streams.add(reply.status)
            times = [at for at, _ in reply.events()]
            longest = max(longest, *(b - a for a, b in zip(times, times[1:])), 0)
            if reply.status != 200:
                await asyncio.sleep(0.05)

    watching = asyncio.gather(probe_livez(port, over), *(stream() for _ in range(STREAMS)))
    print("watching", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it closes the pipe
    over.set()
    (probes, slowest), *_ = await watching
    print(json.dumps({"probes": sorted(probes), "streams": sorted(streams), "livez": slowest,
                      "gap": longest}))


if __name__ == "__main__":
    asyncio.run(look(int(sys.argv[1])))
