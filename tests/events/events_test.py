"""Events of the prefix cache, as a picker of endpoints hears them."""
import json
import pathlib
import random
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support")]
from launch import LOCKSTEP, DoesNotStart, Process, free_port, poll  # noqa: E402
from picker import BLOCK, Picker  # noqa: E402

WORDS = ("once upon a time there was a little girl who lived in a house near the big green forest and "
         "every day she went out to play with her dog and saw the birds sing in the old tall trees").split()


class Server(Process):
    def __init__(self, *flags, endpoint="tcp://127.0.0.1:*", replay="tcp://127.0.0.1:*", **more):
        super().__init__([LOCKSTEP, "--threads", "2", "--context", "512", "--kv-events", endpoint,
                          *(["--kv-events-replay", replay] if replay else []),
                          "--kv-events-pod", "10.0.0.1:8080", *flags], **more)
        line = re.search(r"kv events.*", self.log_text())[0]
        self.endpoint = re.search(r'endpoint="?(tcp://[^" ]+)', line)[1]
        found = re.search(r'replay="?(tcp://[^" ]+)', line)
        self.replay = found and found[1]

    def post(self, path, body, key=None):
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def render(self, prompt, key=None):
        """The prompt's tokens, as the picker asks for them."""
        return self.post("/v1/completions/render", {"model": "tales", "prompt": prompt}, key)[0]["token_ids"]

    def cached(self, prompt, key=None, salt=None, tokens=4):
        body = {"prompt": prompt, "max_tokens": tokens, "seed": 1, **({"cache_salt": salt} if salt else {})}
        usage = self.post("/v1/completions", body, key)["usage"]
        return usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


class Events(unittest.TestCase):
    def server(self, *flags, **more):
        server = Server(*flags, **more)
        self.addCleanup(server.log.close)
        self.addCleanup(server.kill)
        return server

    def picker(self, server, **more):
        picker = Picker(server.endpoint, server.replay, **more)
        self.addCleanup(picker.close)
        return picker

    def compare(self, server, picker, prompt, salt=None, key=None, tokens=4):
        """Asks for an answer: what of the prompt was cached is what the picker says."""
        picker.settle()
        predicted = picker.predict(server.render(prompt, key), salt)
        self.assertEqual(server.cached(prompt, key, salt, tokens), predicted)
        self.assertEqual(picker.problems, [])
        return predicted

    def converse(self, server, picker, turns, seed=1):
        """Texts of which each goes on from one before it; how many tokens were cached."""
        rng, texts, cached = random.Random(seed), [""], 0
        for _ in range(turns):
            texts.append((rng.choice(texts[-8:]) + " " + text(rng, 30))[-1500:].strip())
            cached += self.compare(server, picker, texts[-1])
        return cached

    def test_what_is_predicted_is_cached(self):
        server = self.server()
        picker = self.picker(server)
        self.assertGreater(self.converse(server, picker, 30), 1000)
        self.assertEqual(picker.topics, {"kv@10.0.0.1:8080@lockstep-tales"})
        self.assertEqual(picker.batches[0][0], ["AllBlocksCleared"])
        messages = [{"role": "user", "content": text(random.Random(9), 40)}]
        self.compare(server, picker, server.post("/apply-template", {"messages": messages})["prompt"])

    def test_what_is_evicted_is_not_predicted(self):
        server = self.server("--prefix-cache", "2")
        picker = self.picker(server)
        cached = self.converse(server, picker, 60)
        removed = sum(len(event[1]) for events in picker.batches for event in events
                      if event[0] == "BlockRemoved")
        self.assertGreater(removed, 100)
        self.assertGreater(cached, 300)

    def test_many_at_once(self):
        server = self.server("--prefix-cache", "4", "--sessions", "8")
        picker = self.picker(server)
        rng = random.Random(5)
        prompts = [text(rng, 50) for _ in range(10)]

        def ask(seed):
            chosen = random.Random(seed)
            for _ in range(12):
                server.cached(chosen.choice(prompts) + " " + text(chosen, 15))

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for prompt in prompts:
            self.compare(server, picker, prompt)

    def test_a_picker_that_comes_late_hears_all(self):
        server = self.server()
        early = self.picker(server)
        self.converse(server, early, 10)
        late = self.picker(server)
        early.settle()
        late.settle()
        self.assertEqual(late.cached, early.cached)
        self.assertGreater(self.converse(server, late, 10, seed=1), 300)

    def test_a_restart_is_heard_of(self):
        ports = {"endpoint": f"tcp://127.0.0.1:{free_port()}", "replay": f"tcp://127.0.0.1:{free_port()}"}
        ports["endpoint"] = ports["endpoint"].replace("127.0.0.1", "*")
        server = self.server(**ports)
        for address in ("endpoint", "replay"):
            setattr(server, address, re.sub(r"//.*:", "//127.0.0.1:", ports[address]))
        with_replay = self.picker(server)
        without = Picker(server.endpoint)
        self.addCleanup(without.close)
        self.converse(server, with_replay, 10)
        with_replay.settle()
        before = set(with_replay.cached)
        self.assertIsNotNone(poll(lambda: without.cached == before, 10))
        server.kill()
        server = self.server(**ports)
        time.sleep(1)  # both connect again
        rng = random.Random(77)
        prompt = text(rng, 60)
        server.cached(prompt)
        for picker in (with_replay, without):
            self.assertIsNotNone(poll(lambda: picker.cached and not picker.cached & before, 10),
                                 "what the first process had is still believed")
        self.assertGreater(self.compare(server, with_replay, prompt), 0)
        with_replay.settle()
        self.assertIsNotNone(poll(lambda: without.cached == with_replay.cached, 10))

    def test_salts_are_kept_apart_as_the_picker_has_them(self):
        server = self.server("--api-key", "only")
        picker = self.picker(server)
        prompt = text(random.Random(3), 80)
        for salt in (None, "a", "b", None, "a", "b"):
            cached = self.compare(server, picker, prompt, salt, "only")
        self.assertGreater(cached, BLOCK)
        self.assertEqual({json.dumps(extra and extra[0]) for _, _, extra in picker.stored},
                         {"null", '["a"]', '["b"]'})

    def test_several_keys_are_kept_apart(self):
        server = self.server("--api-key", "first", "--api-key", "second")
        picker = self.picker(server)
        prompt = text(random.Random(4), 80)
        tokens = server.render(prompt, "first")
        for key, cached in (("first", 0), ("second", 0), ("first", 1), ("second", 1)):
            self.assertEqual(server.cached(prompt, key) > 0, cached > 0)
            picker.settle()
            # It does not know whose the prompt is, and promises nobody what others have.
            self.assertEqual(picker.predict(tokens), 0)
        names = {extra[0][0] for _, parent, extra in picker.stored if parent is None}
        self.assertEqual(len(names), 2)
        self.assertEqual([len(name) for name in names], [64, 64])
        for name in names:
            self.assertGreater(picker.predict(tokens, name), BLOCK)
        self.assertEqual(picker.problems, [])
        shared = self.server("--api-key", "first", "--api-key", "second", "--prefix-cache-scope", "all")
        picker = self.picker(shared)
        self.assertEqual(self.compare(shared, picker, prompt, key="first"), 0)
        self.assertGreater(self.compare(shared, picker, prompt, key="second"), BLOCK)

    def test_the_same_text_has_the_same_name_on_each_replica(self):
        prompt, names = text(random.Random(6), 60), []
        for _ in range(2):
            server = self.server()
            picker = self.picker(server)
            server.cached(prompt)
            picker.settle()
            names.append([name for hashes, _, _ in picker.stored for name in hashes])
        self.assertGreater(len(names[0]), 0)
        self.assertEqual(*names)

    def test_what_an_archive_brings_is_told(self):
        folder = tempfile.mkdtemp(prefix="lockstep-events-")
        self.addCleanup(shutil.rmtree, folder, True)
        prompt = text(random.Random(8), 300)
        with Server("--prefix-dir", folder) as server, server.log:
            server.cached(prompt)
            time.sleep(1)  # it is written
            server.terminate()
            self.assertEqual(server.exit_code(60), 0)
        server = self.server("--prefix-dir", folder)
        picker = self.picker(server)
        self.assertGreater(server.cached(prompt), BLOCK)
        self.assertGreater(self.compare(server, picker, prompt), BLOCK)

    def test_who_does_not_read_costs_nothing(self):
        server = self.server("--prefix-cache", "2")
        port = int(server.endpoint.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):  # says nothing, and reads nothing
            picker = self.picker(server)
            stopped = Picker(server.endpoint)
            stopped.lock.acquire()  # its thread stands still with the first batch
            self.assertGreater(self.converse(server, picker, 40), 200)
            stopped.lock.release()
            stopped.close()
        server.terminate()
        self.assertEqual(server.exit_code(60), 0)

    def test_a_name_of_the_model(self):
        server = self.server("--model-alias", "org/model:q4")
        picker = self.picker(server, model="org/model:q4")
        server.cached(text(random.Random(1), 60))
        picker.settle()
        self.assertEqual(picker.topics, {"kv@10.0.0.1:8080@org/model:q4"})

    def test_what_is_wrong_ends_the_start(self):
        server = self.server()
        taken = server.endpoint.replace("127.0.0.1", "*")
        for flags, words in ((["--kv-events", taken], "Address already in use"),
                             (["--kv-events", "5557"], "no address such as tcp://*:5557"),
                             (["--kv-events-replay", "tcp://*:5558"], "without --kv-events"),
                             (["--kv-events", "tcp://*:5557", "--models-dir", "/tmp"], "--kv-events")):
            with self.assertRaisesRegex(DoesNotStart, re.escape(words)):
                Process([LOCKSTEP, *flags])


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
