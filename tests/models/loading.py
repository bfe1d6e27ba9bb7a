"""When a model's process is started, and when it is ended for another one."""
import os
import signal
import subprocess
import threading
import time

from case import LOCKSTEP, ModelsTest, SLOW, SMALL, TALES, alive, ask, poll


class Loading(ModelsTest):
    def test_the_first_request_for_a_model_starts_it(self):
        server = self.start()
        self.assertEqual(self.states(server), {"a": "unloaded", "b": "unloaded", "inner": "unloaded"})
        self.assertEqual(self.children(server), {})
        text = self.generated(server, "a")
        self.assertEqual(self.states(server)["a"], "loaded")
        self.assertEqual(list(self.children(server)), ["a"])
        self.assertEqual(self.generated(server, "inner"), text)  # the same file, the same bytes
        self.assertEqual(sorted(self.children(server)), ["a", "c"])

    def test_many_requests_at_once_start_one_process(self):
        server = self.start()
        replies = self.at_once(64, lambda i: self.generate(server, "a", max_tokens=2))
        self.assertEqual({reply.status for reply in replies}, {200})
        self.assertEqual(len(self.children(server)), 1)
        self.assertEqual(self.metric(server, 'lockstep_model_loads_total{model="a"}'), 1)
        self.assertEqual(self.metric(server, 'lockstep_model_requests_total{model="a"}'), 64)

    def test_a_model_that_comes_later_is_found(self):
        server = self.start()
        (self.models / "late.gguf").symlink_to(TALES)
        self.assertIn("tale", TALES.name)
        self.generated(server, "late")
        self.assertIn("late", self.states(server))

    def test_a_file_that_is_none_is_refused_with_a_sentence(self):
        (self.models / "web.gguf").write_text("<html>")
        server = self.start()
        reply = self.generate(server, "web")
        self.assertEqual(reply.status, 500, reply.body)
        self.assertIn("GGUF", reply.json["error"]["message"])
        self.assertEqual(self.children(server), {})
        self.assertEqual(ask(server.port, "GET", "/v1/models/web").json["status"]["failed"], True)

    def test_a_process_that_died_is_started_again(self):
        server = self.start()
        text = self.generated(server, "a")
        pid = self.children(server)["a"]
        os.kill(pid, signal.SIGKILL)
        self.eventually(lambda: self.states(server)["a"] == "unloaded")
        self.assertEqual(self.generated(server, "a"), text)
        self.assertNotEqual(self.children(server)["a"], pid)

    def test_one_that_dies_again_and_again_waits_between(self):
        server = self.start()
        for _ in range(2):
            self.generated(server, "a")
            os.kill(self.children(server)["a"], signal.SIGKILL)
            self.eventually(lambda: self.states(server)["a"] == "unloaded")
        reply = self.generate(server, "a")
        self.assertEqual(reply.status, 503, reply.body)
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        self.assertIn("again and again", reply.json["error"]["message"])
        self.assertEqual(self.generate(server, "b").status, 200)
        time.sleep(float(reply.headers["retry-after-ms"]) / 1000)
        self.generated(server, "a")

    def test_flags_that_make_no_sense_end_the_start(self):
        for flags, words in (
                (["--models-dir", self.folder / "none"], "--models-dir"),
                (["--models-dir", self.models, "--model", TALES], "--models-dir"),
                (["--models-dir", self.models, "--default-model", "d"], "--default-model"),
                (["--models-dir", self.models, "--model-alias", "x"], "--model-alias"),
                (["--default-model", "d"], "--default-model")):
            done = subprocess.run([LOCKSTEP, *map(str, flags), "--port", "1"], capture_output=True,
                                  text=True, timeout=20)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)


class Memory(ModelsTest):
    # All that is planned is given, so that no plan shrinks with the memory.
    FLAGS = (*SMALL, *SLOW, "--request-memory", "48")

    def test_the_least_recently_used_is_ended(self):
        server = self.start("--models-max", "2")
        for model in ("a", "b", "a", "inner"):
            self.generated(server, model)
        self.assertEqual(self.states(server), {"a": "loaded", "b": "unloaded", "inner": "loaded"})

    def test_memory_for_one_is_shared_by_turns(self):
        need = self.need()
        server = self.start("--memory", str(PARENT + need + need // 2))
        texts = {self.generated(server, "ab"[i % 2]) for i in range(6)}
        self.assertEqual(len(texts), 1)
        self.assertEqual(len(self.children(server)), 1)
        self.assertEqual(self.metric(server, 'lockstep_model_loads_total{model="a"}'), 3)

    def test_memory_for_both_keeps_both(self):
        server = self.start("--memory", str(PARENT + 2 * self.need() + 8))
        for model in "abab":
            self.generated(server, model)
        self.assertEqual(sorted(self.children(server)), ["a", "b"])
        self.assertEqual(self.metric(server, 'lockstep_model_loads_total{model="a"}'), 1)

    def test_what_never_fits_is_refused_with_the_sum(self):
        server = self.start("--memory", str(PARENT + 40))
        reply = self.generate(server, "a")
        self.assertIn(reply.status, (400, 503), reply.body)
        self.assertIn("memory does not suffice", reply.json["error"]["message"])
        self.assertEqual(self.children(server), {})

    def test_a_model_in_use_is_not_ended(self):
        server = self.start("--models-max", "1")
        done = []
        long = threading.Thread(target=lambda: done.append(self.generate(
            server, "a", max_tokens=100, ignore_eos=True)))
        self.generated(server, "a")
        long.start()
        self.eventually(lambda: self.metric(server, 'lockstep_model_requests_active{model="a"}') == 1)
        pid = self.children(server)["a"]
        self.generated(server, "b")
        long.join()
        self.assertEqual(done[0].status, 200, done[0].body)
        self.assertEqual(done[0].json["usage"]["completion_tokens"], 100)
        self.assertIsNotNone(poll(lambda: not alive(pid), 10))

    def need(self):
        """MiB that one model is planned with."""
        server = self.start()
        self.generated(server, "a")
        need = self.metric(server, 'lockstep_model_memory_bytes{model="a"}')
        server.kill()
        return int(need) >> 20


# MiB that the parent keeps for itself and for what requests hold.
PARENT = 48 + 64
