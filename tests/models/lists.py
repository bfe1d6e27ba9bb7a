"""The lists of models, and loading and unloading by llama-server's and Ollama's routes."""
import gzip
import os
import pathlib
import signal
import subprocess
import time

from case import LOCKSTEP, ModelsTest, TALES, ask


class Lists(ModelsTest):
    def test_models_and_their_states(self):
        server = self.start("--models-max", "2")
        for path in ("/v1/models", "/models"):
            listed = ask(server.port, "GET", path).json
            self.assertEqual(listed["object"], "list")
            self.assertEqual([model["id"] for model in listed["data"]], ["a", "b", "inner"])
        self.assertEqual(listed["data"][0]["meta"]["size"], TALES.stat().st_size)
        self.generated(server, "a")
        model = ask(server.port, "GET", "/v1/models/a").json
        self.assertEqual(model["status"], {"value": "loaded"})
        self.assertEqual(model["context_length"], 512)
        self.assertTrue(model["system_fingerprint"].startswith("ls"))
        props = ask(server.port, "GET", "/props").json
        self.assertEqual((props["role"], props["max_instances"]), ("router", 2))
        self.assertEqual(ask(server.port, "GET", "/props?model=a").json["total_slots"], 4)
        self.assertEqual(len(ask(server.port, "GET", "/slots?model=a").json), 4)
        self.assertIn("lockstep_sessions 4", ask(server.port, "GET", "/metrics?model=a").body.decode())
        self.assertEqual(ask(server.port, "GET", "/metrics?model=b").status, 400)

    def test_the_list_in_anthropics_form(self):
        server = self.start()
        self.generated(server, "a")
        version = {"anthropic-version": "2023-06-01"}
        listed = ask(server.port, "GET", "/v1/models", headers=version).json
        self.assertEqual({name: listed[name] for name in ("has_more", "first_id", "last_id")},
                         {"has_more": False, "first_id": "a", "last_id": "inner"})
        self.assertEqual([model["id"] for model in listed["data"]], ["a", "b", "inner"])
        one = listed["data"][0]
        self.assertEqual(sorted(one), ["created_at", "display_name", "id", "max_input_tokens", "type"])
        self.assertEqual((one["type"], one["display_name"], one["max_input_tokens"]), ("model", "a", 512))
        self.assertRegex(one["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("max_input_tokens", listed["data"][1])  # what is not loaded is not known
        self.assertEqual(ask(server.port, "GET", "/v1/models/a", headers=version).json, one)

    def test_metrics_of_all_models(self):
        presets = self.folder / "presets.ini"
        presets.write_text("[b]\nno-metrics = true\n")
        server = self.start("--models-preset", presets)
        for model in ("a", "b", "inner", "a"):
            self.generated(server, model)
        packed = ask(server.port, "GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["content-encoding"], "gzip")
        self.assertIn("lockstep_models_memory_bytes", gzip.decompress(packed.body).decode())
        text = ask(server.port, "GET", "/metrics").body.decode()
        heads = [line.split()[1:3] for line in text.splitlines() if line.startswith("#")]
        self.assertEqual(len(heads), len({tuple(head) for head in heads}))
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual(len(series), len(set(series)))
        own = {line for line in series if line.startswith("lockstep_models_memory_bytes")}
        self.assertEqual({line for line in series if 'model="' not in line}, own)
        self.assertIn('lockstep_sessions{model="a"}', series)
        self.assertIn('lockstep_sessions{model="inner"}', series)
        self.assertNotIn('lockstep_sessions{model="b"}', series)
        self.assertIn('vllm:num_requests_waiting{model="inner",model_name="c",engine="0"}', series)
        self.assertEqual(self.metric(server, 'lockstep_model_requests_total{model="a"}'), 2)
        self.assertEqual(self.metric(server, 'lockstep_model_metrics_missed_total{model="b"}'), 0)
        # Each family's series stand behind its heads.
        seen, family = set(), None
        for line in text.splitlines():
            name = line.split()[2] if line.startswith("#") else None
            if name and name != family:
                self.assertNotIn(name, seen)
                seen.add(name)
                family = name
            elif not name:
                self.assertTrue(line.startswith(family), line)

    def test_a_model_that_stands_still_holds_up_no_metrics(self):
        server = self.start()
        self.generated(server, "a")
        self.generated(server, "b")
        pid = self.children(server)["a"]
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        threads = list(pathlib.Path(f"/proc/{pid}/task").glob("*/stat"))
        self.eventually(lambda: all(thread.read_text().rpartition(") ")[2][0] == "T" for thread in threads))
        start = time.monotonic()
        lines = ask(server.port, "GET", "/metrics").body.decode().splitlines()
        self.assertLess(time.monotonic() - start, 5)
        sessions = [line for line in lines if line.startswith("lockstep_sessions{")]
        self.assertEqual(sessions, ['lockstep_sessions{model="b"} 4'])
        self.assertIn('lockstep_model_metrics_missed_total{model="a"} 1', lines)

    def test_a_request_has_one_line_in_the_log(self):
        server = self.start()
        for number in range(2):
            ask(server.port, "POST", "/v1/completions", {"model": "a", "prompt": "Once", "max_tokens": 2},
                {"X-Request-Id": f"answered-{number}"})
        ask(server.port, "POST", "/v1/completions", {"model": "none"}, {"X-Request-Id": "refused"})
        self.eventually(lambda: "refused" in server.log_text())
        lines = server.log_text().splitlines()
        for name, words in (("answered-0", 'model="a"'), ("answered-1", "tokens=2"), ("refused", "status=404")):
            (line,) = [line for line in lines if f'request_id="{name}"' in line]
            self.assertIn(words, line)

    def test_what_the_parent_answers_is_in_the_document(self):
        server = self.start()
        self.generated(server, "a")
        document = ask(server.port, "GET", "/openapi.json").json
        schemas = document["components"]["schemas"]

        def fits(value, name):
            schema = schemas[name]
            return set(schema["required"]) <= set(value) <= set(schema["properties"])

        models = {model["id"]: model for model in ask(server.port, "GET", "/v1/models").json["data"]}
        self.assertTrue(fits(models["a"], "Model"), models["a"])
        self.assertTrue(fits(models["b"], "UnloadedModel"), models["b"])
        self.assertTrue(fits(models["a"]["status"], "ModelStatus"))
        self.assertTrue(fits(ask(server.port, "GET", "/props").json, "RouterProps"))
        self.assertTrue(fits(ask(server.port, "GET", "/props?model=a").json, "Props"))
        for path in ("/models/load", "/models/unload"):
            self.assertIn("post", document["paths"][path])
            self.assertTrue(fits(ask(server.port, "POST", path, {"model": "a"}).json, "Success"))

    def test_split_models_count_once_and_whole(self):
        for name in ("s-00001-of-00002.gguf", "s-00002-of-00002.gguf", "t-00001-of-00002.gguf",
                     "mmproj-a.gguf", "notes.txt", ".hidden.gguf"):
            (self.models / name).write_bytes(b"GGUF")
        (self.models / "two").mkdir()
        for name in ("x.gguf", "y.gguf"):
            (self.models / "two" / name).symlink_to(TALES)
        server = self.start()
        self.assertEqual(list(self.states(server)), ["a", "b", "inner", "s", "two/x", "two/y"])
        self.generated(server, "two/y")

    def test_fetched_models_are_served_by_name(self):
        snapshot = self.folder / "hub/models--some--R-GGUF/snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        blobs = snapshot.parents[1] / "blobs"
        blobs.mkdir()
        (blobs / "1").write_bytes(TALES.read_bytes())
        (snapshot / "R-Q8_0.gguf").symlink_to("../../blobs/1")
        server = self.start()
        self.assertIn("some/R-GGUF:Q8_0", self.states(server))
        self.generated(server, "some/R-GGUF:Q8_0")

    def test_presets_give_models_flags_of_their_own(self):
        presets = self.folder / "presets.ini"
        presets.write_text(f"""
version = 1
[*]
context = 256
strict = true
[a]
alias = one, two
[other]
model = {TALES}
ctx-size = 128
load-on-startup = true
no-vllm-metrics = true
strict = false
[late]
kv-type = q8_0
""")
        self.FLAGS = ("--threads", "1", "--sessions", "2", "--prefix-cache", "0", "--strict-model")
        server = self.start("--models-preset", presets)
        self.eventually(lambda: self.states(server)["other"] == "loaded")
        self.assertEqual(sorted(self.states(server)), ["a", "b", "inner", "other"])
        text = {self.generated(server, model) for model in ("one", "two", "a", "b", "other")}
        self.assertEqual(len(text), 1)
        listed = ask(server.port, "GET", "/v1/models").json["data"]
        self.assertEqual({model["id"]: model.get("context_length") for model in listed},
                         {"a": 256, "b": 256, "inner": None, "other": 128})
        self.assertEqual(self.generate(server, "a", unknown_field=1).status, 400)
        self.assertEqual(self.generate(server, "other", unknown_field=1).status, 200)
        (self.models / "late.gguf").symlink_to(TALES)
        self.assertTrue(self.generated(server, "late"))
        self.assertTrue(ask(server.port, "GET", "/v1/models/late").json["system_fingerprint"]
                        .endswith("-kvq8_0"))

    def test_presets_that_make_no_sense_end_the_start(self):
        presets = self.folder / "presets.ini"
        for text, words in (("[a]\nn-gpu-layers = 9\n", "n-gpu-layers"), ("[a]\nport = 9\n", "port"),
                            ("[a]\ncontext = x\n", "context"), ("context = 4\n", "line 1")):
            presets.write_text(text)
            done = subprocess.run([LOCKSTEP, "--models-preset", presets], capture_output=True,
                                  text=True, timeout=20)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)

    def test_load_and_unload(self):
        server = self.start()
        done = ask(server.port, "POST", "/models/load", {"model": "a"})
        self.assertEqual((done.status, done.json), (200, {"success": True}))
        self.eventually(lambda: self.states(server)["a"] == "loaded")
        self.assertEqual(ask(server.port, "POST", "/models/unload", {"model": "b"}).status, 400)
        self.assertEqual(ask(server.port, "POST", "/models/unload", {"model": "none"}).status, 404)
        self.assertEqual(ask(server.port, "POST", "/models/unload", {"model": "a"}).status, 200)
        self.eventually(lambda: self.states(server)["a"] == "unloaded")
        reply = ask(server.port, "POST", "/v1/completions?autoload=false", {"model": "a", "prompt": "x"})
        self.assertEqual(reply.status, 400, reply.body)
        self.generated(server, "a")

    def test_the_model_for_requests_that_name_none(self):
        server = self.start("--default-model", "b")
        reply = ask(server.port, "POST", "/generate", {"prompt": "Once", "max_tokens": 2})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(list(self.children(server)), ["b"])

    def test_a_kept_response_is_found(self):
        server = self.start()
        reply = ask(server.port, "POST", "/v1/responses", {
            "model": "a", "input": "Hello", "max_output_tokens": 16})
        self.assertEqual(reply.status, 200, reply.body)
        self.generated(server, "b")
        path = "/v1/responses/" + reply.json["id"]
        self.assertEqual(ask(server.port, "GET", path).json["id"], reply.json["id"])
        self.assertEqual(ask(server.port, "DELETE", path).status, 200)
        self.assertEqual(ask(server.port, "GET", path).status, 404)


class Ollama(ModelsTest):
    def test_tags_ps_and_show(self):
        server = self.start()
        tags = ask(server.port, "GET", "/api/tags").json["models"]
        self.assertEqual([model["name"] for model in tags], ["a:latest", "b:latest", "inner:latest"])
        self.assertTrue(all(len(model["digest"]) == 64 for model in tags))
        self.assertEqual(ask(server.port, "GET", "/api/ps").json, {"models": []})
        shown = ask(server.port, "POST", "/api/show", {"model": "a:latest"}).json
        self.assertEqual(self.children(server), {})  # to show is not to load
        self.generated(server, "a:latest")
        running = ask(server.port, "GET", "/api/ps").json["models"]
        self.assertEqual([(model["name"], model["context_length"]) for model in running],
                         [("a:latest", 512)])
        loaded = ask(server.port, "POST", "/api/show", {"model": "a"}).json
        self.assertEqual(loaded["details"], shown["details"])
        self.assertEqual(loaded["model_info"].keys(), shown["model_info"].keys())
        self.assertEqual(ask(server.port, "POST", "/api/show", {"model": "z"}).status, 404)
        pulled = ask(server.port, "POST", "/api/pull", {"model": "b", "stream": False})
        self.assertEqual(pulled.json, {"status": "success"})
        self.assertEqual(ask(server.port, "POST", "/api/pull", {"model": "z"}).status, 404)
        for method, path in (("DELETE", "/api/delete"), ("POST", "/api/create")):
            reply = ask(server.port, method, path, {"model": "a"})
            self.assertEqual((reply.status, reply.json["error"]),
                             (501, f"{path} is not supported: the models of this server are files in its folder"))
        (self.models / "broken.gguf").write_text("<html>")
        reply = ask(server.port, "POST", "/api/show", {"model": "broken"})
        self.assertTrue(reply.json["error"].startswith("broken.gguf: "), reply.body)  # and not where it is

    def test_keep_alive(self):
        server = self.start()
        body = {"model": "a", "prompt": "Once", "stream": False, "options": {"num_predict": 2}}
        ask(server.port, "POST", "/api/generate", {**body, "keep_alive": "1s"})
        self.assertEqual(self.states(server)["a"], "loaded")
        start = time.monotonic()
        self.eventually(lambda: self.states(server)["a"] == "unloaded", 10)
        self.assertGreater(time.monotonic() - start, 0.5)
        # No time at all: it is ended, and for that alone it is not loaded.
        ask(server.port, "POST", "/api/generate", {**body, "keep_alive": -1})
        self.assertEqual(self.states(server)["a"], "loaded")
        for _ in range(2):
            done = ask(server.port, "POST", "/api/generate", {"model": "a", "keep_alive": 0})
            self.assertEqual(done.json["done_reason"], "unload")
            self.eventually(lambda: self.states(server)["a"] == "unloaded")
        self.assertEqual(self.metric(server, 'lockstep_model_loads_total{model="a"}'), 2)
