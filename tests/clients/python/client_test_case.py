"""What the tests of clients share: servers, a model that calls tools, a full server, and the report
of which client passed what.

A class is a client's tests, named by `client`, its package, and the word after test_ names what a
test shows of it: one of FEATURES, the columns of the table in README.md, or something else, which
the table leaves out."""
import contextlib
import http.client
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from typing import Literal

import pydantic

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests" / "support"))
from launch import Process, poll  # noqa: E402

FEATURES = ("basic", "stream", "tools", "structured", "errors", "cancel")
MODEL = "lockstep-tales"
PROMPT = "Once upon a time there was"
MESSAGES = [{"role": "user", "content": PROMPT}]
QUESTION = "What is the weather like in Bremen?"
TOO_LONG = "word " * 20_000
KEY = "secret"

def start(*flags):
    return Process([os.environ["LOCKSTEP"], *flags])


def start_with(script, *arguments, flag="--model", flags=()):
    """With the model that a script writes to a file, the variable of that name."""
    with tempfile.TemporaryDirectory() as folder:  # the file is read when the server is ready
        file = f"{folder}/model.gguf"
        subprocess.run(["node", "--input-type=module", "-e",
                        f"const [file, ...rest] = process.argv.slice(1);\n{script}", file, *arguments],
                       cwd=ROOT / "tests" / "clients", check=True)
        return start(flag, file, *flags)


def start_tooled():
    """The embedded model, with a chat template that knows tools. It calls none unless it must."""
    return start_with("""
        import { withTemplate } from './template.mjs';
        import { HERMES, TALES } from './tooled.mjs';
        withTemplate(TALES, file, HERMES);""")


# A model that calls get_weather where it may, and then says how the weather is: as text, as JSON where
# a message speaks of it, or by the tool that its client has for last answers.
WEATHER = {"city": "Bremen", "days": 3}
REPORT = "rain in Bremen for 3 days"
ANSWER = "It rains in Bremen."


def as_call(name, **arguments):
    return f'<tool_call>\n{json.dumps({"name": name, "arguments": arguments})}\n</tool_call>'


SAID = {
    "get_weather": as_call("get_weather", **WEATHER),
    "teller-get_weather": as_call("teller-get_weather", **WEATHER),  # of a plugin
    "final_answer": as_call("final_answer", answer=ANSWER),
    "final_result": as_call("final_result", **WEATHER),
    "json": json.dumps(WEATHER),
    "text": ANSWER,
}
CALLING = """{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}
{%- set state = namespace(due="text", told=false) %}
{%- for m in messages %}{{ m.role }}: {{ m.content or "" }}
{%- for c in m.tool_calls or [] %}<tool_call>
{"name": {{ c.function.name | tojson }}, "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}
{% if "JSON" in m.content | string %}{% set state.due = "json" %}{% endif %}
{%- if "REPORT" in m.content | string %}{% set state.told = true %}{% endif %}
{%- endfor %}
{%- for tool in tools or [] %}
{%- for name in ["final_answer", "final_result"] if name == tool.function.name and state.told %}
{%- set state.due = name %}{% endfor %}
{%- for name in ["get_weather", "teller-get_weather"] if name == tool.function.name and not state.told %}
{%- set state.due = name %}{% endfor %}
{%- endfor %}
<|say:{{ state.due }}|>""".replace("REPORT", REPORT)


def start_calling(*flags):
    return start_with("""
        import { writeScriptedModel } from '../agents/scripted_model.mjs';
        writeScriptedModel(file, JSON.parse(rest[0]));""",
                      json.dumps({"name": "weather", "template": CALLING, "answers": SAID}), flags=flags)


class Weather(pydantic.BaseModel):
    """Tells the weather."""
    city: Literal["Bremen", "Hameln"]
    days: Literal[1, 2, 3]  # some clients take bounds out of what they send


def get_weather(city: str, days: int) -> str:
    """Tells the weather.

    Args:
        city: Where.
        days: For how long.
    """
    return f"rain in {city} for {days} days"


def get(server, path):
    with urllib.request.urlopen(server.url + path) as reply:
        return json.load(reply)


def post(server, path, body, headers={}):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


class Servers(contextlib.ExitStack):
    """Each is started by the first test that asks for it."""

    def __init__(self):
        super().__init__()
        self.running = {}

    def __getattr__(self, name):
        if name not in self.KINDS:
            raise AttributeError(name)
        if name not in self.running:
            self.running[name] = self.enter_context(self.KINDS[name]())
        return self.running[name]

    KINDS = {
        "plain": start,
        "tooled": start_tooled,
        "calling": start_calling,
        "keyed": lambda: start("--api-key", KEY, "--strict-model"),
    }


SERVERS = Servers()


def occupy(server):
    """A request that ends when the connection is closed."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = {"prompt": "a", "max_tokens": 100_000, "ignore_eos": True}
    connection.request("POST", "/generate", json.dumps(body), {"Content-Type": "application/json"})
    return connection


def taken(server):
    ready = get(server, "/readyz")
    return ready["running"] + ready["queued"]


def refusals(server):
    with urllib.request.urlopen(f"{server.url}/metrics") as reply:
        return sum(float(line.split()[-1]) for line in reply.read().decode().splitlines()
                   if line.startswith("lockstep_http_requests_total") and "queue_full" in line)


class ClientTest(unittest.TestCase):
    client = None  # the package's name; what of it, if not all, follows after a space
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = SERVERS.plain
        cls.url = f"{cls.server.url}/v1"

    @staticmethod
    def expected(max_tokens=20, **sampling):
        """What /generate says to PROMPT as a chat, by default at a temperature of 0."""
        prompt = post(SERVERS.plain, "/apply-template", {"messages": MESSAGES})["prompt"]
        return post(SERVERS.plain, "/generate", {
            "prompt": prompt, "max_tokens": max_tokens, **(sampling or {"temperature": 0})})

    def rejects(self, kind, call, text=""):
        with self.assertRaises(kind) as caught:
            call()
        self.assertIn(text, str(caught.exception))
        return caught.exception

    def keeps_the_pause(self, call):
        """call(server), of one that is full, comes again when that has said so, and not before."""
        with contextlib.ExitStack() as stack:
            # Nothing has ended there yet, by which it could tell a shorter time than two seconds: longer
            # than clients wait of their own accord.
            server = stack.enter_context(start_calling("--sessions", "1", "--queue", "2"))
            others = stack.enter_context(contextlib.ExitStack())
            for count in (1, 2, 3):
                others.callback(occupy(server).close)
                self.assertIsNotNone(poll(lambda: taken(server) == count, 10))
            with self.assertRaises(urllib.error.HTTPError) as refused:
                post(server, "/generate", {"prompt": "a"})
            self.assertEqual(refused.exception.code, 429)
            pause = int(refused.exception.headers["Retry-After"])
            told = []

            def leave():  # as soon as the client was refused, too
                if poll(lambda: refusals(server) > 1, 60) is not None:
                    told.append(time.monotonic())
                others.close()

            leaving = threading.Thread(target=leave)
            leaving.start()
            result = call(server)
            leaving.join()
            # Half a second is for having seen it late.
            self.assertGreaterEqual(time.monotonic() - told[0], pause - 0.5)
        return result

    def becomes_idle(self):
        """What a client has left is not computed any further."""
        self.assertIsNotNone(poll(lambda: taken(self.server) == 0, 10))


class Reported(unittest.TextTestResult):
    """Writes a line of JSON for each test to the file $CLIENTS_REPORT."""

    def addSuccess(self, test):
        super().addSuccess(test)
        self.report(test, True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report(test, False)

    def addError(self, test, err):
        super().addError(test, err)
        self.report(test, False)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.report(test, False)

    def report(self, test, passed):
        path = os.environ.get("CLIENTS_REPORT")
        client = getattr(test, "client", None)  # not of what stands for a class that was not set up
        if not path or not client or (feature := test._testMethodName.split("_")[1]) not in FEATURES:
            return
        with open(path, "a") as file:
            version = importlib.metadata.version(client.split()[0])
            file.write(json.dumps({"language": "Python", "client": client, "version": version,
                                   "feature": feature, "passed": passed}) + "\n")


def main():
    # The clients leave connections to the collector of garbage.
    with SERVERS:
        runner = unittest.TextTestRunner(resultclass=Reported, warnings="ignore")
        program = unittest.main(testRunner=runner, exit=False)
    sys.exit(not program.result.wasSuccessful())
