"""What is in the folder already, and who else reads and writes it; the server that fetches."""
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import threading
import time

import hub as fake
from case import DATA, free_port, HUB_PYTHON, HubTest, LOCKSTEP, NAME, poll, Process, REPO, TALES
from hub import File


class Cache(HubTest):
    def test_offline(self):
        for more in ({"HF_HUB_OFFLINE": "1"}, {"LOCKSTEP_OFFLINE": "1"}):
            result = self.lockstep("generate", "--hf", REPO, "--prompt", "a", **more)
            self.assertEqual(result.returncode, 2)
            self.assertIn("--offline or HF_HUB_OFFLINE", result.stderr)
            self.refused("HF_HUB_OFFLINE", **more)
        self.assertEqual(self.hub.requests, [])
        self.hub.repositories[REPO] = {"T-Q8_0.gguf": File(TALES)}
        self.assertEqual(self.lockstep("pull", REPO).returncode, 0)
        self.hub.requests.clear()
        result = self.lockstep("generate", "--hf", REPO, "--offline", "--prompt", "a",
                               "--max-tokens", "1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.hub.requests, [])

    def test_what_the_cache_has_is_taken_where_there_is_no_hub(self):
        self.hub.repositories[REPO] = {"T-Q8_0.gguf": File(TALES)}
        self.assertEqual(self.lockstep("pull", REPO).returncode, 0)
        result = self.lockstep("generate", "--hf", REPO, "--prompt", "a", "--max-tokens", "1",
                               HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("what the cache has of it is taken", result.stderr)

    def test_a_model_changes_when_it_is_pulled_and_not_by_itself(self):
        self.hub.repositories[REPO] = {NAME: File(TALES), "M-Q8_0.gguf": File(b"eight")}
        ask = ["generate", "--hf", REPO, "--prompt", "a", "--max-tokens", "1"]
        self.assertEqual(self.lockstep(*ask).returncode, 0)
        self.pulled(REPO + ":Q8_0", data=b"eight")
        self.hub.commit = "f" * 40
        self.hub.repositories[REPO] = {NAME: self.file, "M-Q8_0.gguf": File(b"eight")}
        self.hub.requests.clear()
        self.assertEqual(self.lockstep(*ask).returncode, 0)
        self.assertEqual(self.hub.requests, [])
        path = self.pulled()
        self.assertIn("/snapshots/" + "f" * 40, str(path))
        # The one that has not changed is not fetched again.
        self.pulled(REPO + ":Q8_0", data=b"eight")
        self.assertEqual(len(self.hub.file_requests()), 1)

    def test_list_and_rm(self):
        self.assertIn("There are no models", self.lockstep("list").stderr)
        self.hub.repositories[REPO]["M-Q8_0.gguf"] = File(DATA[:2_000_000])
        other = "other/R"
        self.hub.repositories[other] = {"odd.gguf": File(b"odd")}
        for name in (REPO, REPO + ":Q8_0", other):
            self.assertEqual(self.lockstep("pull", name).returncode, 0)
        lines = [line.split(None, 1) for line in self.lockstep("list").stdout.splitlines()]
        self.assertEqual(lines, [["other/R:odd.gguf", "0 MB"], [REPO + ":Q4_K_M", "5 MB"],
                                 [REPO + ":Q8_0", "2 MB"]])
        self.assertEqual(self.lockstep("rm", REPO + ":Q5_0").returncode, 2)
        result = self.lockstep("rm", REPO + ":Q4_K_M")
        self.assertEqual(result.stdout, REPO + ":Q4_K_M is removed: 5 MB\n")
        self.assertFalse((self.cache / "models--someone--Model-GGUF/blobs" / self.file.hash).exists())
        self.assertEqual(len(self.lockstep("list").stdout.splitlines()), 2)
        self.assertEqual(self.lockstep("rm", REPO, other).returncode, 0)
        self.assertEqual(list(self.cache.glob("models--*")), [])
        self.assertEqual(self.lockstep("rm", "../..").returncode, 2)

    def test_rm_leaves_what_another_commit_or_program_has(self):
        path = self.pulled()
        readme = path.parent / "README.md"
        readme.write_text("hello")
        self.assertEqual(self.lockstep("rm", REPO).returncode, 0)
        self.assertTrue(readme.exists())
        self.assertFalse(path.exists())

    def test_two_at_once_fetch_it_once(self):
        self.hub.faults = [fake.slow(3)]
        pulls = [subprocess.Popen([LOCKSTEP, "pull", REPO], env=self.environment(), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        ends = [pull.communicate(timeout=60) for pull in pulls]
        self.assertEqual([pull.returncode for pull in pulls], [0, 0, 0], ends)
        self.assertEqual(len({out for out, _ in ends}), 1)
        self.assertEqual(pathlib.Path(ends[0][0].strip()).read_bytes(), DATA)
        self.assertEqual(len(self.hub.file_requests()), 1)
        self.assertEqual(sum("another process is fetching it" in said for _, said in ends), 2)

    def test_one_of_two_is_killed_and_the_other_goes_on(self):
        self.hub.faults = [fake.slow(15, 100)]
        first = subprocess.Popen([LOCKSTEP, "pull", REPO], env=self.environment(),
                                 stderr=subprocess.DEVNULL)
        blob = self.cache / "models--someone--Model-GGUF/blobs" / (self.file.hash + ".incomplete")
        self.assertIsNotNone(poll(lambda: blob.exists() and blob.stat().st_size > 1_000_000, 30))
        second = subprocess.Popen([LOCKSTEP, "pull", REPO], env=self.environment(), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        first.kill()
        first.wait()
        out, said = second.communicate(timeout=60)
        self.assertEqual(second.returncode, 0, said)
        self.assertEqual(pathlib.Path(out.strip()).read_bytes(), DATA)
        self.assertIn("Range", self.hub.file_requests()[-1][1])

    def python(self, code):
        """In a Python that has huggingface_hub; what it prints as JSON."""
        if not HUB_PYTHON.exists():
            self.skipTest("there is no huggingface_hub; tests/clients/run installs it")
        result = subprocess.run([HUB_PYTHON, "-c", "import json, huggingface_hub as hf\n" + code],
                                capture_output=True, text=True,
                                env=self.environment(HF_HUB_DISABLE_XET="1",
                                                     HF_HUB_DISABLE_TELEMETRY="1"), timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_huggingface_hub_finds_what_we_fetched(self):
        path = self.pulled()
        count = len(self.hub.file_requests())
        found = self.python(f"""
info = hf.scan_cache_dir()
[repo] = info.repos
print(json.dumps([hf.hf_hub_download("{REPO}", "{NAME}"), hf.try_to_load_from_cache("{REPO}", "{NAME}"),
                  repo.repo_id, repo.size_on_disk, sorted(repo.refs), len(info.warnings)]))""")
        self.assertEqual(found, [str(path), str(path), REPO, len(DATA), ["main"], 0])
        self.assertEqual(len(self.hub.file_requests()), count)

    def test_we_find_what_huggingface_hub_fetched(self):
        theirs = self.python(f'print(json.dumps(hf.hf_hub_download("{REPO}", "{NAME}")))')
        count = len(self.hub.file_requests())
        self.assertEqual(str(self.pulled()), theirs)
        self.assertEqual(len(self.hub.file_requests()), count)
        self.assertIn(REPO + ":Q4_K_M", self.lockstep("list").stdout)
        result = self.lockstep("inspect", "hf://" + REPO, "--offline")
        self.assertIn("this is not a GGUF file", result.stderr)

    def test_the_same_lock_as_huggingface_hub(self):
        self.hub.faults = [fake.slow(4)]
        other = threading.Thread(target=self.python, args=(
            f'print(json.dumps(hf.hf_hub_download("{REPO}", "{NAME}")))',))
        if not HUB_PYTHON.exists():
            self.skipTest("there is no huggingface_hub; tests/clients/run installs it")
        other.start()
        self.assertIsNotNone(poll(lambda: len(self.hub.file_requests()) == 1, 30))
        self.pulled()
        other.join()
        self.assertEqual(len(self.hub.file_requests()), 1)


class Serving(HubTest):
    def setUp(self):
        super().setUp()
        self.hub.repositories[REPO] = {"Tales-Q8_0.gguf": File(TALES)}

    def test_the_server_answers_health_checks_while_it_fetches(self):
        import urllib.error, urllib.request
        self.hub.faults = [fake.slow(6)]
        with Process([LOCKSTEP, "serve", "-hf", REPO], ready=None,
                     environment=self.environment()) as server:
            def status(path):
                try:
                    with urllib.request.urlopen(server.url + path, timeout=5) as reply:
                        return reply.status
                except urllib.error.HTTPError as error:
                    return error.code
                except OSError:
                    return 0
            self.assertIsNotNone(poll(lambda: status("/livez") == 200, 20))
            self.assertEqual(status("/readyz"), 503)
            self.assertIsNotNone(poll(lambda: status("/readyz") == 200, 60))
            with urllib.request.urlopen(server.url + "/v1/models") as reply:
                self.assertEqual(json.load(reply)["data"][0]["id"], "Tales-Q8_0")
            server.log.seek(0)
            log = server.log.read()
            self.assertIn('fetching model="someone/Model-GGUF"', log)
            self.assertIn('fetched model="someone/Model-GGUF"', log)

    def test_a_signal_ends_a_server_that_fetches(self):
        self.hub.faults = [fake.slow(60, 600)]
        process = subprocess.Popen([LOCKSTEP, "--hf", REPO, "--port", str(free_port())],
                                   env=self.environment(), stderr=subprocess.DEVNULL)
        self.assertIsNotNone(poll(lambda: self.hub.file_requests(), 20))
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=10), 0)

    def test_what_cannot_be_fetched_ends_it(self):
        result = self.lockstep("serve", "--hf", "no/body", "--port", str(free_port()))
        self.assertEqual(result.returncode, 2)
        self.assertIn("no/body", result.stderr)
        result = self.lockstep("serve", "--hf", REPO, "--port", str(free_port()),
                               HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
        self.assertEqual(result.returncode, 1)

    def test_a_bar_on_a_terminal(self):
        self.hub.faults = [fake.slow(3, 30)]
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(LOCKSTEP, [LOCKSTEP, "pull", REPO], self.environment(TERM="xterm"))
        text = ""
        while True:
            if not select.select([fd], [], [], 30)[0]:
                break
            try:
                text += os.read(fd, 65536).decode()
            except OSError:
                break
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, text)
        self.assertRegex(text, r"\r\x1b\[KFetching someone/Model-GGUF: \d+ %, [\d.]+ of 6.2 MB, "
                               r"[\d.]+ [kM]B/s, \d s left")
        self.assertIn("Fetched someone/Model-GGUF in ", text)
