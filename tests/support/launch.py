"""The process of a server, ours or a peer's, on a port of the loopback interface."""
import contextlib
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCKSTEP = str(ROOT / "build/release/lockstep")
TALES = ROOT / "core/model/embedded/tales.gguf"
# With what tests/clients/run installs: openai and huggingface_hub.
CLIENTS_PYTHON = (pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) /
                  "lockstep-tests/clients-sdk/bin/python")

# What a shell has set for other servers is not meant for the tests'.
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}


class DoesNotStart(Exception):
    """What the server wrote instead of getting ready."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def poll(condition, seconds):
    """Waits until condition() is true: how long it took, or None if it did not come."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            return None
        time.sleep(0.01)
    return time.monotonic() - start


class Process:
    """Runs `command` with a --port; waits for a 200 of `ready` unless that is None. With `output` (a
    file) given, its log goes there. A context manager that kills what is left of it. `open_files` is
    its limit of descriptors, `addresses` that of its address space in bytes."""

    def __init__(self, command, ready="/readyz", seconds=30, port=None, output=None, open_files=None,
                 addresses=None, environment=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tempfile.TemporaryFile("w+")

        def limit():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
            if addresses:
                resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))

        self.process = subprocess.Popen([*map(str, command), "--port", str(self.port)],
                                        stdout=output or self.log, stderr=output or self.log,
                                        preexec_fn=limit, env={**OUTSIDE, **(environment or {})})
        self.pid = self.process.pid
        if ready is None:
            return
        self.ready_seconds = poll(lambda: self._answers(ready) or self.process.poll() is not None,
                                  seconds)
        if self.process.poll() is not None or not self._answers(ready):
            self.kill()
            raise DoesNotStart(f"not ready within {seconds} s, exit code {self.process.returncode}:"
                               f"\n{self.log_text()}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds):
        """None if it has not ended by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)

    def log_text(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def _answers(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=5):
                return True
        except OSError:
            return False
