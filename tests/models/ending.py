"""How it ends: by a signal, by force, and who may use it until then."""
import contextlib
import os
import signal
import threading

from case import ModelsTest, SLOW, alive, ask, poll


class Ending(ModelsTest):
    def test_a_parent_that_is_killed_leaves_no_child(self):
        server = self.start()
        self.generated(server, "a")
        self.generated(server, "b")
        pids = self.children(server).values()
        self.assertEqual(len(pids), 2)
        server.process.kill()
        server.process.wait()
        self.assertIsNotNone(poll(lambda: not any(map(alive, pids)), 5))

    def test_a_signal_lets_answers_end(self):
        for name in (signal.SIGTERM, signal.SIGINT):
            server = self.start(*SLOW)
            self.generated(server, "a")
            done = []
            long = threading.Thread(target=lambda: done.append(self.generate(
                server, "a", max_tokens=60, ignore_eos=True)))
            long.start()
            self.eventually(lambda: self.running(server) == 1)
            pids = self.children(server).values()
            server.process.send_signal(name)
            for pid in pids:  # as systemd does, which tells all of a service's processes
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, name)
            self.assertEqual(server.exit_code(30), 0)
            long.join()
            self.assertEqual(done[0].status, 200, done[0].body)
            self.assertEqual(done[0].json["usage"]["completion_tokens"], 60)
            self.assertFalse(any(map(alive, pids)))

    def test_a_signal_while_a_model_loads(self):
        server = self.start()
        ask(server.port, "POST", "/models/load", {"model": "a"})
        server.terminate()
        self.assertEqual(server.exit_code(15), 0)

    def test_health_needs_no_model(self):
        server = self.start("--drain-delay", "2")
        for path in ("/livez", "/readyz", "/health", "/v1/health", "/ping"):
            self.assertEqual(ask(server.port, "GET", path).status, 200)
        server.terminate()
        self.eventually(lambda: ask(server.port, "GET", "/readyz").status == 503, 2)
        self.assertEqual(server.exit_code(15), 0)

    def test_keys_are_asked_for_before_anything_is_loaded(self):
        server = self.start("--api-key", "right")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"),
                                 ("POST", "/models/load"), ("GET", "/api/tags")):
                body = {"model": "a", "prompt": "x"} if method == "POST" else None
                self.assertEqual(ask(server.port, method, path, body, headers).status, 401)
        self.assertEqual(self.children(server), {})
        key = {"Authorization": "Bearer right"}
        reply = ask(server.port, "POST", "/v1/completions", {"model": "a", "prompt": "x"}, key)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.states(server, **key)["a"], "loaded")
