"""Traces and metrics, sent to collectors that take them, hang, refuse or are away."""
import asyncio
import contextlib
import gzip
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import request
from server import Server, expect

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """On a free port; has what was sent to it. Until `release` is set it answers nothing. The first
    requests have the `answers`: status, Retry-After, body."""
    daemon_threads = True

    def __init__(self, release=None, answers=(), certificate=None):
        self.answers, self.times = list(answers), []
        self.spans, self.metrics, self.paths, self.release = [], [], set(), release
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait_for(self, count, seconds=20):
        with self.changed:
            self.changed.wait_for(lambda: len(self.spans) >= count, seconds)
            return list(self.spans)

    def wait_for_metrics(self, done, seconds=20):
        """The metrics of the first sending, by name, for which done says so; else of the last."""
        with self.changed:
            self.changed.wait_for(lambda: self.metrics and done(self.metrics[-1]), seconds)
            return self.metrics[-1] if self.metrics else {}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        body = json.loads(body)
        if self.server.release:
            self.server.release.wait()
        with self.server.changed:
            self.server.times.append(time.monotonic())
            if self.server.answers:
                self.answer(*self.server.answers.pop(0))
                return
            self.server.paths.add((self.path, self.headers["Content-Type"], self.headers["x-key"],
                                   self.headers["Content-Encoding"]))
            for resource in body.get("resourceSpans", []):
                for scope in resource["scopeSpans"]:
                    self.server.spans += scope["spans"]
            for resource in body.get("resourceMetrics", []):
                for scope in resource["scopeMetrics"]:
                    self.server.metrics.append({metric["name"]: metric for metric in scope["metrics"]})
            self.server.changed.notify_all()
        self.answer(200, None, b"{}")

    def answer(self, status, retry_after, body):
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def attributes(span):
    """By name: the only value that each has."""
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span.get("attributes", [])}


def ask(server, **headers):
    reply = asyncio.run(request(server.port, "/v1/completions",
                                {"prompt": "Once upon a time", "max_tokens": 12}, headers=[f"{name}: {value}" for name, value in headers.items()]))
    expect(reply.status == 200 and reply.whole, f"{reply.status} {reply.problem}")
    return reply


def taken(test):
    """A request is a span of its caller's trace, with its parts below; health checks are not told of."""
    collector = Collector()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "tales",
                   "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
                   "OTEL_METRICS_EXPORTER": "none"}
    with Server(test.binary, environment=environment) as server:
        ask(server, traceparent=f"00-{TRACE}-{PARENT}-01")
        ask(server, traceparent=f"00-{TRACE}-{PARENT}-00")  # whose sender does not tell of it
        spans = collector.wait_for(4)
        expect(collector.paths == {("/v1/traces", "application/json", "a b", "gzip")}, f"{collector.paths}")
        server.terminate()
        expect((code := server.exit_code(30)) == 0, f"exit code {code}")
    roots = [span for span in spans if span["kind"] == 2]
    expect(len(collector.spans) == 4 and len(roots) == 1, f"{collector.spans}, expected one request's spans")
    root = roots[0]
    seen = (root["traceId"], root["parentSpanId"], attributes(root)["gen_ai.usage.output_tokens"])
    expect(seen == (TRACE, PARENT, "12"), f"{root}")
    parts = [span["name"] for span in spans if span.get("parentSpanId") == root["spanId"]]
    expect(parts == ["queue", "prefill", "decode"], f"below the request: {parts}")
    times = [int(span[key]) for span in spans for key in ("startTimeUnixNano", "endTimeUnixNano")]
    expect(min(times) == times[0] and max(times) == times[1], f"parts outside of the request: {times}")


def points(metrics, name):
    """(attributes, the point) of each series of a metric, or nothing."""
    metric = metrics.get(name, {})
    data = metric.get("sum") or metric.get("gauge") or metric.get("histogram") or {"dataPoints": []}
    return [(attributes(point), point) for point in data["dataPoints"]]


def counted(test):
    """What /metrics has is sent under the same names, and the conventions' histograms beside it."""
    collector = Collector()
    environment = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
                   "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    duration = "gen_ai.server.request.duration"

    def count(metrics):
        return sum(int(point["count"]) for _, point in points(metrics, duration))

    with Server(test.binary, environment=environment) as server:
        ask(server)
        expect((seen := count(collector.wait_for_metrics(lambda sent: count(sent) >= 1))) == 1,
               f"{seen} requests counted of 1")
        for _ in range(2):
            ask(server)
        metrics = collector.wait_for_metrics(lambda sent: count(sent) >= 3)
        scraped = server.get("/metrics")[1]
        server.terminate()
        expect((code := server.exit_code(30)) == 0, f"exit code {code}")
    expect(not collector.spans and {path for path, *_ in collector.paths} == {"/v1/metrics"},
           f"sent to {collector.paths}")
    (labels, point), = points(metrics, duration)
    expect(labels["gen_ai.operation.name"] == "text_completion" and point["count"] == "3"
           and sum(map(int, point["bucketCounts"])) == 3
           and len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1, f"{labels}: {point}")
    tokens = {labels["gen_ai.token.type"]: point["sum"]
              for labels, point in points(metrics, "gen_ai.client.token.usage")}
    (_, generated), = points(metrics, "lockstep_generated_tokens_total")
    expect(tokens["output"] == generated["asDouble"] == 36, f"{tokens}, {generated}")
    names = {line.split()[2] for line in scraped.splitlines() if line.startswith("# TYPE ")}
    own = {name for name in names if not name.startswith("vllm:")}
    expect(own == {name for name in metrics if not name.startswith("gen_ai.")},
           f"only scraped: {own - set(metrics)}, only sent: {set(metrics) - own}")


def untaken(test):
    """A collector that is away, or that never answers, delays no answer and no end."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name, url in (("away", away), ("hanging", Collector(threading.Event()).url)):
        with Server(test.binary, "--otlp-endpoint", url,
                    environment={"OTEL_METRIC_EXPORT_INTERVAL": "50"}) as server:
            replies = [ask(server) for _ in range(50)]
            slowest = max(reply.seconds for reply in replies)
            expect(slowest < 2, f"collector {name}: an answer took {slowest:.1f} s")
            server.terminate()
            expect((code := server.exit_code(15)) == 0, f"collector {name}: exit code {code}")


def heeded(test):
    """A collector is tried again when it asks for it; what it refuses, and why, is in the log."""
    collector = Collector(answers=[(503, "5", b"busy"), (400, None, b'{"message": "no such tenant"}'),
                                   (200, None, b'{"partialSuccess": {"rejectedSpans": "4", "errorMessage": "old"}}')])
    with Server(test.binary, "--otlp-endpoint", collector.url,
                environment={"OTEL_METRICS_EXPORTER": "none"}) as server:
        for tries in (2, 3, 4):
            ask(server)
            end = time.monotonic() + 20
            while len(collector.times) < tries and time.monotonic() < end:
                time.sleep(0.02)
        expect(len(collector.wait_for(4)) == 4, f"{len(collector.spans)} spans, expected those of the last request")
        server.terminate()
        expect((code := server.exit_code(30)) == 0, f"exit code {code}")
        waited = collector.times[1] - collector.times[0]
        expect(5 <= waited < 8, f"tried again after {waited:.1f} s, and 5 were asked for")
        for words in ("it answers 503; it is tried again", "it answers 400: no such tenant",
                      "which refuses 4 of them: old"):
            expect(server.log_text().count(words) == 1, f"the log says {words} {server.log_text().count(words)} times")


def trusted(test):
    """A collector whose authority is named is trusted, and one's that is not is told of."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = f"{folder}/key.pem", f"{folder}/ca.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=collector", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        with open(key, "a") as file:
            file.write(pathlib.Path(certificate).read_text())
        collector = Collector(certificate=key)
        for variable in ("OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE", "UNUSED"):
            count = len(collector.spans)
            with Server(test.binary, "--otlp-endpoint", collector.url,
                        environment={"OTEL_METRICS_EXPORTER": "none", variable: certificate}) as server:
                ask(server)
                server.terminate()
                expect((code := server.exit_code(30)) == 0, f"exit code {code}")
                said = "its certificate is not trusted" in server.log_text()
            seen = len(collector.spans) - count
            expect((seen, said) == ((0, True) if variable == "UNUSED" else (4, False)), f"{variable}: {seen} spans, {said}")


def traces(test):
    """Spans and metrics reach a collector; one that is away or hangs costs nothing but its spans."""
    taken(test)
    counted(test)
    heeded(test)
    trusted(test)
    untaken(test)
    return ("spans as the caller and the environment say; /metrics and the conventions' histograms;"
            " a collector away or hanging delays nothing")
