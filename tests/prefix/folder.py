"""Prefixes in a folder."""
import os
import random
import subprocess
import threading
import unittest

from case import TOKENS, PrefixTest, as_root, mounted, prompt


class Folder(PrefixTest):
    def blocks(self):
        return sorted(path for path in self.folder.glob("??/*") if len(path.name) == 62)

    def test_a_second_process_answers_from_the_folder_with_the_same_bytes(self):
        self.fill()
        self.assertGreater(len(self.blocks()), TOKENS // 16)
        server = self.server()
        self.assertGreater(self.warm(server), TOKENS * 3 // 4)
        self.assertGreater(self.all_right(server), 0)
        metrics = server.metrics()
        self.assertGreater(metrics["hits_total"], TOKENS // 16 * 3 // 4)
        self.assertGreater(metrics["read_bytes_total"], 0)
        self.assertEqual(metrics["errors_total"], 0)
        self.assertEqual(metrics["dropped_total"], 0)

    def test_several_servers_share_a_folder_at_the_same_time(self):
        first, second = self.server(), self.server()
        wrong = []

        def ask(server, seed):
            if server.answer(prompt(seed, 600 + 100 * seed), seed)[0] != self.others[seed - 2]:
                wrong.append(seed)
        threads = [threading.Thread(target=ask, args=(server, seed))
                   for server in (first, second) for seed in range(2, 6) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        first.written()
        self.assertGreater(self.all_right(self.server()), 1000)

    def test_keys_and_salts_share_nothing_whatever_their_order(self):
        server = self.server("--prefix-dir", str(self.folder), "--api-key", "a", "--api-key", "b")
        self.assertEqual(server.answer(self.ids, key="a")[0], self.cold)
        server.written()
        server.stop()
        server = self.server("--prefix-dir", str(self.folder), "--api-key", "b", "--api-key", "a")
        for key, salt, least in (("b", None, 0), ("a", "salt", 0), ("a", None, TOKENS // 2)):
            answer, cached, _ = server.answer(self.ids, key=key, salt=salt)
            self.assertEqual(answer, self.cold)
            self.assertTrue(cached >= least if least else cached == 0, (key, salt, cached))

    def test_damage_anywhere_is_computed_again(self):
        self.fill()
        chosen = random.Random(3)
        blocks = self.blocks()
        for path in chosen.sample(blocks, len(blocks) // 2):
            data = bytearray(path.read_bytes())
            kind = chosen.randrange(5)
            at = chosen.choice((chosen.randrange(136), chosen.randrange(len(data))))
            if kind < 2:
                data[at] ^= 1 << chosen.randrange(8)
            elif kind == 2:
                del data[at:]
            elif kind == 3:
                data += b"x"
            else:
                data = bytearray(chosen.choice(blocks).read_bytes())  # of another place
            path.write_bytes(data)
        server = self.server()
        self.warm(server)
        self.all_right(server)
        self.assertGreater(server.metrics()["errors_total"], 0)

    def test_a_writer_that_is_killed_leaves_whole_blocks(self):
        server = self.server()
        asks = threading.Thread(target=lambda: self.quiet(server), daemon=True)
        asks.start()
        while not self.blocks():
            asks.join(0.01)
        server.kill()
        asks.join()
        server = self.server()
        self.warm(server)
        self.all_right(server)
        self.assertEqual(server.metrics()["errors_total"], 0)

    def quiet(self, server):
        try:
            server.answer(self.ids)
        except OSError:
            pass

    def test_the_folder_stays_within_its_size(self):
        server = self.server("--prefix-dir", str(self.folder), "--prefix-dir-size", "4")
        for seed in range(10, 16):
            server.answer(prompt(seed, 2000), seed)
            server.written()
            self.assertLessEqual(sum(path.stat().st_size for path in self.blocks()), 4 << 20)
        self.all_right(server)

    @unittest.skipUnless(as_root(), "takes root")
    def test_a_full_disk_is_no_error_of_any_request(self):
        self.mount("-t", "tmpfs", "-o", "size=1m", "tmpfs")
        server = self.server()
        self.warm(server)
        self.all_right(server)
        self.assertGreater(server.metrics()["errors_total"], 0)
        self.assertIn("cannot be written to", server.log_text())
        self.assertIsNone(server.process.poll())

    @unittest.skipUnless(as_root(), "takes root")
    def test_a_folder_that_is_only_read_is_read(self):
        self.fill()
        self.mount("--bind", str(self.folder))
        subprocess.run(["mount", "-o", "remount,bind,ro", self.folder], check=True)
        server = self.server()
        self.assertGreater(self.warm(server), TOKENS * 3 // 4)
        self.assertIn('writable="no"', server.log_text())

    def mount(self, *arguments):
        if not mounted(["mount", *arguments, self.folder]):
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.folder])

    def test_a_folder_that_vanishes_is_no_error_of_any_request(self):
        self.fill()
        server = self.server()
        os.rename(self.folder, str(self.folder) + "-gone")
        self.warm(server)
        self.all_right(server)

    def test_what_cannot_be_a_folder_ends_the_start(self):
        file = self.folder / "file"
        file.write_text("x")
        server = self.server("--prefix-dir", str(file), ready=None)
        self.assertEqual(server.exit_code(30), 2)
        self.assertIn(f"--prefix-dir: {file} is no folder", server.log_text())
