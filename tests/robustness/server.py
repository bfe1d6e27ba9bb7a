"""One lockstep process that a scenario tortures, and what a scenario may ask of it."""
import contextlib
import http.client
import json
import os
import re

from launch import DoesNotStart, Process, poll

# The plain kernels make of the small embedded model one as slow as a large one: 30 ms a token,
# 5 ms a token of a prompt. Their bits are those of all others.
SLOW = ("--isa", "scalar", "--threads", "1")


class Failed(Exception):
    """What was seen, and what was expected."""


class Skipped(Exception):
    """Why a scenario cannot be made here."""


def expect(condition, message):
    if not condition:
        raise Failed(message)


class Server(Process):
    """Serves from __init__ on, unless `wait` is false; the other arguments are Process's."""

    def __init__(self, binary, *flags, wait=True, **arguments):
        try:
            super().__init__([binary, *flags], "/readyz" if wait else None, **arguments)
        except DoesNotStart as failure:
            raise Failed(str(failure))

    def __exit__(self, kind, error, trace):
        died = self.process.poll()
        self.kill()
        if kind and not issubclass(kind, Skipped) and died is not None:
            print(f"the server had ended with {died}; its log ends so:\n{self.log_text()}")

    def get(self, path, timeout=5):
        """(status, body); (0, why) without an answer."""
        return self._ask("GET", path, None, timeout)

    def generate(self, body, timeout=60):
        status, answer = self._ask("POST", "/generate", body, timeout)
        expect(status == 200, f"/generate: {status} {answer}, expected 200")
        return json.loads(answer)

    def _ask(self, method, path, body, timeout):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body and json.dumps(body),
                                   {"Content-Type": "application/json", "Connection": "close"})
                reply = connection.getresponse()
                return reply.status, reply.read().decode()
            except OSError as error:
                return 0, str(error)
            except http.client.HTTPException as error:
                return 0, repr(error)

    def status(self, path):
        return self.get(path)[0]

    def metric(self, sample):
        """The value of a sample of /metrics, by its name with its labels."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        expect(found, f"/metrics has no {sample}")
        return float(found[1])

    def work(self):
        """(queued, running) requests."""
        status, body = self.get("/readyz")
        expect(body.startswith("{"), f"/readyz: {status} {body}")
        state = json.loads(body)
        return state["queued"], state["running"]

    def idle_within(self, seconds):
        """How long it took until no session was in use, or None."""
        return poll(lambda: self.work() == (0, 0), seconds)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def resident_kb(self):
        return self._status_kb("VmRSS")

    def mapped_kb(self):
        return self._status_kb("VmSize")

    def _status_kb(self, key):
        with open(f"/proc/{self.pid}/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(key))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as text:
            fields = text.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
