"""That a model's answers pass through as its own server gives them, and what strangers do to it."""
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest

from case import LOCKSTEP, ModelsTest, Process, SDK_PYTHON, SLOW, TALES, ask

PROMPT = {"prompt": "Once upon a time", "max_tokens": 12, "seed": 3, "temperature": 0.7}
CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12, "seed": 3}
OLLAMA = {"num_predict": 12, "seed": 3}
CASES = [
    ("/v1/completions", PROMPT),
    ("/v1/completions", {**PROMPT, "stream": True, "stream_options": {"include_usage": True}}),
    ("/completion", {"prompt": "Once", "n_predict": 12, "seed": 3, "stream": True}),
    ("/generate", PROMPT),
    ("/generate", {**PROMPT, "stream": True}),
    ("/generate_stream", {"inputs": "Once", "parameters": {"max_new_tokens": 12, "seed": 3}}),
    ("/api/generate", {"prompt": "Once", "options": OLLAMA}),
    ("/api/generate", {"prompt": "Once", "options": OLLAMA, "stream": False}),
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", {**CHAT, "stream": True}),
    ("/v1/messages", {**CHAT, "stream": True}),
    ("/v1/responses", {"input": "Hello", "max_output_tokens": 12, "seed": 3, "stream": True}),
    ("/api/chat", {**CHAT, "options": OLLAMA}),
    ("/tokenize", {"prompt": "Once upon a time"}),
    ("/v1/completions", {**PROMPT, "max_tokens": -1}),
    ("/v1/messages", {"max_tokens": 5}),
    ("/api/generate", {"prompt": 7}),
    ("/v1/embeddings", {"input": "text"}),
]
# Times, and what is drawn anew for each answer.
DRAWN = [(rb'"(id|item_id|response_id|request_id)":"[^"]*"', rb'"\1":"X"'),
         (rb'"(created|created_at|completed_at|[a-z_]*_(duration|ms|second|seconds))":("[^"]*"|[-0-9.e+]+)',
          rb'"\1":0'), (rb"(resp|chatcmpl|cmpl|msg)[-_][0-9a-f]{24}", rb"X"),
         (rb"(?m)^id: .*$", rb"id: X"), (rb'"timings":\{[^}]*\}', rb'"timings":{}')]


def settled(body):
    for pattern, by in DRAWN:
        body = re.sub(pattern, by, body)
    return body


class Passing(ModelsTest):
    def test_bytes_are_those_of_the_models_own_server(self):
        direct = Process([LOCKSTEP, "--model", self.models / "a.gguf", *self.FLAGS, "--trust-proxy"])
        self.addCleanup(direct.log.close)
        self.addCleanup(direct.kill)
        server = self.start()
        own = {"X-Request-Id": "mine", "Origin": "http://page", "traceparent": "00-" + "1" * 32 +
               "-" + "2" * 16 + "-01"}
        skipped = ("date", "server-timing", "traceparent", "keep-alive", "connection", "content-length")
        for path, body in CASES:
            with self.subTest(path=path, body=body):
                replies = [ask(port, "POST", path, {"model": "a", **body}, own)
                           for port in (direct.port, server.port)]
                left, right = replies
                self.assertEqual(left.status, right.status, right.body)
                self.assertEqual(settled(left.body), settled(right.body))
                heads = [{name: value for name, value in reply.headers.items() if name not in skipped}
                         for reply in replies]
                self.assertEqual(*heads)
                self.assertEqual(right.headers["x-request-id"], "mine")
                # One hop more, and yet one trace and no header twice.
                self.assertEqual(right.headers["traceparent"].count("1" * 32), 1)

    def test_events_come_when_they_are_made(self):
        server = self.start(*SLOW)
        self.generated(server, "a")
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            self.send(client, {**PROMPT, "model": "a", "max_tokens": 40, "ignore_eos": True,
                               "stream": True})
            times = []
            while b"[DONE]" not in client.recv(65536):
                times.append(time.monotonic())
        self.assertGreater(len(times), 20)
        self.assertGreater(times[-1] - times[0], 0.1)

    def test_who_leaves_ends_the_request(self):
        server = self.start(*SLOW)
        self.generated(server, "a")
        active = 'lockstep_model_requests_active{model="a"}'
        for stream in (True, False):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            self.send(client, {**PROMPT, "model": "a", "max_tokens": 400, "ignore_eos": True,
                               "stream": stream})
            self.eventually(lambda: self.running(server) == 1)
            client.close()
            self.eventually(lambda: self.running(server) == 0, 2)
            self.eventually(lambda: self.metric(server, active) == 0, 1)

    def test_who_leaves_while_it_loads_leaves_nothing_waiting(self):
        server = self.start()
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.send(client, {**PROMPT, "model": "a"})
        client.close()
        self.generated(server, "b")
        self.eventually(lambda: self.states(server)["a"] in ("loaded", "unloaded"))
        # Whether somebody has gone takes a moment to know, in which the model may have been loaded.
        active = 'lockstep_model_requests_active{model="a"}'
        self.eventually(lambda: self.metric(server, active) == 0, 1)

    def test_a_child_that_is_killed_breaks_its_streams_and_no_others(self):
        server = self.start(*SLOW)
        self.generated(server, "a")
        text = self.generated(server, "b")
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.send(client, {**PROMPT, "model": "a", "max_tokens": 400, "ignore_eos": True,
                           "stream": True})
        self.assertIn(b"200 OK", client.recv(65536))
        os.kill(self.children(server)["a"], signal.SIGKILL)
        rest = b""
        while piece := client.recv(65536):
            rest += piece
        client.close()
        self.assertNotIn(b"[DONE]", rest)
        self.assertFalse(rest.endswith(b"0\r\n\r\n"))  # cut off, and not ended
        self.assertEqual(self.generated(server, "b"), text)
        self.assertEqual(self.generated(server, "a"), text)

    def test_a_child_that_is_killed_before_it_answers_is_a_503(self):
        server = self.start(*SLOW)
        self.generated(server, "a")
        client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.send(client, {**PROMPT, "model": "a", "max_tokens": 400, "ignore_eos": True})
        self.eventually(lambda: self.running(server) == 1)
        os.kill(self.children(server)["a"], signal.SIGKILL)
        reply = client.recv(65536)
        client.close()
        self.assertIn(b" 503 ", reply.splitlines()[0])
        self.assertIn(b"Retry-After", reply)
        self.assertIn(b"the model's process", reply)

    @unittest.skipUnless(SDK_PYTHON.exists(), "tests/clients/run installs openai-python")
    def test_openai_python(self):
        server = self.start()
        script = f"""
import openai
client = openai.OpenAI(base_url="http://127.0.0.1:{server.port}/v1", api_key="none")
assert [model.id for model in client.models.list()] == ["a", "b", "inner"]
texts = []
for model in ("a", "b"):
    stream = client.completions.create(model=model, prompt="Once", max_tokens=9, seed=1, stream=True)
    texts.append("".join(chunk.choices[0].text for chunk in stream))
assert texts[0] and texts[0] == texts[1], texts
try:
    client.completions.create(model="none", prompt="Once")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
"""
        done = subprocess.run([SDK_PYTHON, "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def send(self, client, body):
        text = json.dumps(body)
        client.sendall((f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        f"application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}").encode())


class Strangers(ModelsTest):
    def test_what_is_no_request_starts_nothing(self):
        server = self.start()
        long = "x" * 300
        for path, body, status, words in (
                ("/v1/completions", b"{", 400, "JSON"),
                ("/v1/completions", b"[]", 400, ""),
                ("/v1/completions", b'{"model":"a","model":"b","prompt":"x"}', 400, "model"),
                ("/v1/completions", b'{"model":7,"prompt":"x"}', 400, "model must be a string"),
                ("/v1/completions", b'{"model":"\xff","prompt":"x"}', 400, "UTF-8"),
                ("/v1/completions", b'{"model":"../a","prompt":"x"}', 404, "there is no model"),
                ("/v1/completions", b'{"model":"/etc/passwd","prompt":"x"}', 404, "there is no model"),
                ("/v1/completions", b'{"model":"A","prompt":"x"}', 404, '"a", "b", "inner"'),
                ("/v1/completions", json.dumps({"model": long}).encode(), 400, "256 bytes"),
                ("/v1/completions", b'{"prompt":"x"}', 400, '"a", "b", "inner"'),
                ("/v1/completions", b'{"model":null,"prompt":"x"}', 400, "names no model"),
                ("/v1/completions", b'{"model":"","prompt":"x"}', 400, "names no model"),
                ("/v1/messages", b'{"model":"none"}', 404, '"type":"error"'),
                ("/api/chat", b'{"model":"none"}', 404, '{"error":"there is no model'),
                ("/embed", b'{"inputs":"x"}', 400, "error"),
                ("/rerank", b'{"query":"x","texts":["y"],"model":"none"}', 404, '"error_type":"Validation"'),
                ("/rerank", b'{"query":"x","texts":["y"]}', 400, '"error_type":"Validation"'),
                ("/rerank", b'{"query":"x","documents":["y"]}', 400, '"error":{"message"'),
                ("/", b'{"inputs":"x","model":"none"}', 404, '"error_type":"Validation"'),
                ("/generate", b'{"inputs":"x","model":"none"}', 424, '{"error":"there is no model'),
                ("/generate_stream", b'{"inputs":"x"}', 422, '"error_type":"validation"'),
                ("/generate", b'{"prompt":"x","model":"none"}', 404, '"error":{"message"'),
                ("/nothing", b"{}", 404, "there is no"),
                ("/props", b"{}", 405, "GET")):
            with self.subTest(path=path, body=body[:80]):
                reply = ask(server.port, "POST", path, body)
                self.assertEqual(reply.status, status, reply.body)
                self.assertIn(words, reply.body.decode().replace('\\"', '"'))
        for path in ("/slots", "/v1/models/none", "/props?model=%2e%2e%2fa", "/info?model=%ff"):
            self.assertIn(ask(server.port, "GET", path).status, (400, 404))
        self.assertEqual(self.children(server), {})

    def test_a_form_and_a_slow_body_are_the_parents_to_refuse(self):
        server = self.start()
        reply = ask(server.port, "POST", "/v1/completions", b"{}", {"Content-Type": "text/plain"})
        self.assertEqual(reply.status, 415)
        large = {"model": "a", "prompt": "x " * 500_000}  # of a megabyte
        reply = ask(server.port, "POST", "/v1/completions", large)
        self.assertEqual(reply.status, 400, reply.body[:200])
        self.assertIn("context", reply.body.decode())
        reply = ask(server.port, "POST", "/v1/completions", b" " * (17 << 20))
        self.assertEqual(reply.status, 413)
        slow = socket.create_connection(("127.0.0.1", server.port))
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        self.generated(server, "a")
        slow.close()
