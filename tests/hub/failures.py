"""Connections, lengths, hashes, refusals and disks that fail."""
import os
import shutil
import subprocess
import time

import hub as fake
from case import DATA, free_port, HubTest, LOCKSTEP, NAME, poll, REPO, TOKEN


class Failures(HubTest):
    def test_a_connection_that_breaks_off_goes_on_where_it_was(self):
        self.hub.faults = [fake.broken_after(1_000_000), fake.broken_after(1_500_000, reset=True),
                           fake.broken_after(0), fake.status(503), fake.broken_after(700_000)]
        self.pulled()
        ranges = [headers.get("Range") for _, headers in self.hub.file_requests()]
        self.assertEqual(len(ranges), 6)
        self.assertEqual(ranges[:2], [None, "bytes=1000000-"])
        self.assertIn("trying again in 0.5 s", self.said)

    def test_a_later_process_goes_on_too(self):
        self.hub.faults = [fake.broken_after(3_000_000)] + [fake.broken_after(0)] * 5
        self.refused("broke off", code=1)
        self.pulled()
        self.assertEqual(self.hub.file_requests()[-1][1]["Range"], "bytes=3000000-")

    def test_a_process_that_was_killed_goes_on(self):
        self.hub.faults = [fake.slow(20, 100)]
        process = subprocess.Popen([LOCKSTEP, "pull", REPO], env=self.environment(),
                                   stderr=subprocess.DEVNULL)
        blob = self.cache / "models--someone--Model-GGUF/blobs" / (self.file.hash + ".incomplete")
        self.assertIsNotNone(poll(lambda: blob.exists() and blob.stat().st_size > 1_000_000, 30))
        process.kill()
        process.wait()
        kept = blob.stat().st_size
        self.pulled()
        self.assertEqual(self.hub.file_requests()[-1][1]["Range"], f"bytes={kept}-")

    def test_a_server_that_brings_nothing_is_left(self):
        self.hub.faults = [fake.broken_after(0)] * 50
        self.refused("broke off", code=1)
        self.assertEqual(len(self.hub.file_requests()), 5)
        # Each time the same part, from the beginning.
        def stubborn(handler, file):
            handler.head(file, 0, file.size)
            handler.send(file, 0, 1000)
            handler.cut(False)
            return True
        self.hub.faults = [stubborn] * 50
        self.refused("broke off", code=1)
        self.assertLess(len(self.hub.file_requests()), 13)

    def test_lies_about_the_length(self):
        for lie in (fake.shorter, fake.longer):
            with self.subTest(lie.__name__):
                self.hub.faults = [lie]
                self.pulled()
                shutil.rmtree(self.cache)
                self.hub.faults = [lie] * 50
                self.refused("bytes, and the file has 5000000")

    def test_chunks_need_no_length(self):
        self.hub.faults = [fake.chunked(lambda data: data)]
        self.pulled()
        for name, lie in {"more": lambda data: data + b"x", "less": lambda data: data[:-1]}.items():
            with self.subTest(name):
                shutil.rmtree(self.cache)
                self.hub.faults = [fake.chunked(lie)]
                self.pulled()
                shutil.rmtree(self.cache)
                self.hub.faults = [fake.chunked(lie)] * 50
                self.refused("", code=2 if name == "more" else 1)

    def test_what_is_compressed_is_not_taken_for_the_file(self):
        self.hub.faults = [fake.compressed]
        self.refused("sends /someone/Model-GGUF/resolve/", "compressed (gzip)")
        self.hub.repositories["files"] = {"m.gguf": self.file}
        self.hub.faults = [fake.compressed]
        self.refused("sends /plain/files/m.gguf compressed (gzip)", name=f"{self.hub.url}/plain/files/m.gguf")
        self.assertFalse(list(self.folder.rglob("*m.gguf")))

    def test_no_length_at_all(self):
        self.hub.faults = [fake.without_length]
        self.pulled()

    def test_lies_about_the_hash(self):
        self.hub.faults = [fake.wrong_bytes]
        self.pulled()
        shutil.rmtree(self.cache)
        self.hub.faults = [fake.wrong_bytes] * 50
        self.refused("SHA-256", "nothing of it is kept")
        self.assertFalse(list(self.cache.rglob("*.incomplete")))

    def test_what_was_begun_with_other_bytes_is_begun_again(self):
        blobs = self.cache / "models--someone--Model-GGUF/blobs"
        blobs.mkdir(parents=True)
        for rest in (b"x" * 100, b"x" * 5_000_000, b"x" * 6_000_000):
            (blobs / (self.file.hash + ".incomplete")).write_bytes(rest)
            self.pulled()
            shutil.rmtree(self.cache / "models--someone--Model-GGUF/snapshots")
            (blobs / self.file.hash).unlink()

    def test_what_was_fetched_whole_and_not_named_yet(self):
        blobs = self.cache / "models--someone--Model-GGUF/blobs"
        blobs.mkdir(parents=True)
        (blobs / (self.file.hash + ".incomplete")).write_bytes(DATA)
        self.pulled()
        self.assertEqual(self.hub.file_requests(), [])

    def test_a_blob_that_was_cut_short_is_not_taken(self):
        path = self.pulled()
        blob = path.resolve()
        os.truncate(blob, 1000)
        self.pulled()

    def test_ranges_that_were_not_asked_for(self):
        for lie in (fake.whole_again, fake.another_range, fake.range_without_range,
                    fake.status(416), fake.status(206, Content_Range="bytes 7-8/9")):
            self.hub.faults = [fake.broken_after(1_000_000), lie]
            self.pulled()
            shutil.rmtree(self.cache)

    def test_refusals(self):
        for code, words in {401: ["HF_TOKEN"], 403: ["terms to agree to", "HF_TOKEN"],
                            404: ["404", "/api/models/" + REPO], 451: ["451"]}.items():
            with self.subTest(code):
                self.hub.before = lambda request, code=code: request.reply(code) or True
                self.refused(REPO, self.hub.url, str(code), *words)
                self.assertEqual(len(self.hub.requests), 1)
                self.hub.requests.clear()
                # The listing is public and the file is not.
                self.hub.before = lambda request, code=code: (
                    "/resolve/" in request.path and (request.reply(code) or True))
                self.refused(NAME, str(code))
                self.hub.requests.clear()
        self.hub.before = lambda request: request.reply(401) or True
        self.refused("does not take the token in HF_TOKEN", HF_TOKEN=TOKEN)

    def test_rates(self):
        self.hub.faults = [fake.status(429, Retry_After="1")]
        start = time.monotonic()
        self.pulled()
        self.assertGreater(time.monotonic() - start, 1)
        shutil.rmtree(self.cache)
        answers = [("Retry-After", "1"), ("RateLimit", '"api";r=0;t=1')]

        def limited(request):
            if not answers:
                return False
            name, value = answers.pop()
            request.reply(429, **{name: value})
            return True
        self.hub.before = limited
        start = time.monotonic()
        self.pulled()
        self.assertGreater(time.monotonic() - start, 2)
        shutil.rmtree(self.cache)
        self.hub.before = lambda request: request.reply(429, Retry_After="86400") or True
        self.refused("429", "; retry after 86400 s", code=1)
        date = "Wed, 21 Oct 2065 07:28:00 GMT"
        self.hub.before = lambda request: request.reply(429, Retry_After=date) or True
        self.refused(f"; retry after {date}", code=1)
        self.assertNotIn("GMT s", self.said)

    def test_a_head_without_end(self):
        for headers in ({"X": "x" * 1_000_000}, {f"X{i}": "x" * 1000 for i in range(1000)}):
            self.hub.before = lambda request, headers=headers: (
                request.reply(200, **headers) or True)
            self.refused("a head of more than 64 KiB")

    def test_a_hub_that_has_trouble(self):
        troubles = [500, 502, 503]
        self.hub.before = lambda request: troubles and (request.reply(troubles.pop()) or True)
        self.pulled()
        shutil.rmtree(self.cache)
        self.hub.before = lambda request: request.reply(504) or True
        self.refused("504", code=1)

    def test_no_hub(self):
        self.refused("cannot be reached", code=1, HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
        self.refused("HF_ENDPOINT", HF_ENDPOINT="huggingface.co")

    def test_what_is_no_hub(self):
        for body in (b"<html>", b"[]", b"{}", b'{"sha": "../../x", "siblings": []}',
                     b'{"sha": "%s"}' % fake.COMMIT.encode(), b'{"sha": 1, "siblings": 2}'):
            with self.subTest(body):
                self.hub.before = lambda request, body=body: request.reply(200, body) or True
                self.refused("is HF_ENDPOINT the address of a hub")

    def test_names_and_hashes_stay_in_the_folder(self):
        names = ["../../../../evil-Q4_K_M.gguf", "/tmp/evil-Q4_K_M.gguf", "a/../../evil-Q4_K_M.gguf",
                 "./evil-Q4_K_M.gguf", "a//evil-Q4_K_M.gguf", "a\\evil-Q4_K_M.gguf",
                 "evil\n-Q4_K_M.gguf", "\x1b[2Jevil-Q4_K_M.gguf", "e" * 300 + "-Q4_K_M.gguf"]
        self.hub.repositories[REPO] = {name: self.file for name in names}
        self.refused("no GGUF file of a model")
        self.hub.repositories[REPO] = {NAME: self.file}
        for evil in ("../../evil", "", "A" * 64, "a" * 63 + "/", None, 7):
            self.file.hash = evil
            self.refused("does not say the SHA-256")
        self.assertEqual([path.name for path in self.folder.rglob("evil*")], [])

    def test_a_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("takes root")
        self.cache.mkdir()
        small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=2m t "$0" && exec "$@"',
                 str(self.cache)]
        result = self.lockstep("pull", REPO, prefix=small)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "Model-Q4_K_M.gguf needs 6 MB, and .* has 2 MB left")
        # The listing did not say the size, and another program takes the space meanwhile.
        self.hub.repositories[REPO][NAME].size, self.file.size = None, None
        self.hub.before = lambda request: (setattr(self.file, "size", len(DATA))
                                           if "/resolve/" in request.path else None)
        check = ('mount -t tmpfs -o size=2m t "$0"; "$@"; code=$?; '
                 'ls "$0"/models--*/blobs "$0"/models--*/snapshots; exit $code')
        result = self.lockstep("pull", REPO, prefix=["unshare", "-m", "sh", "-c", check,
                                                     str(self.cache)])
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("is full (No space left on device): free some space", result.stderr)
        self.assertIn(self.file.hash + ".incomplete", result.stdout)
        self.assertNotIn(self.file.hash + "\n", result.stdout)

    def test_a_folder_that_cannot_be_written(self):
        self.cache.write_text("a file")
        result = self.lockstep("pull", REPO)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(str(self.cache), result.stderr)
