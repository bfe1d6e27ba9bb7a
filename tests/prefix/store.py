"""Prefixes in a server that speaks Redis' protocol."""
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

from case import TOKENS, PrefixTest, prompt
from launch import free_port, poll

PASSWORD = "hunter2/@:%"
ESCAPED = "hunter2%2F%40%3A%25"


class Redis:
    """redis-server, or Valkey's, on a port of the loopback interface."""

    def __init__(self, folder, port=None, *flags):
        self.port = port or free_port()
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
             "--requirepass", PASSWORD, *flags], stdout=subprocess.DEVNULL)
        if poll(self.answers, 30) is None:
            raise AssertionError("redis-server does not start")

    def answers(self):
        try:
            return self.ask(b"PING") == b"PONG"
        except OSError:
            return False

    def ask(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            file = connection.makefile("rwb")
            for command in ((b"AUTH", PASSWORD.encode()), (b"SELECT", b"3"), words):
                file.write(b"*%d\r\n" % len(command))
                for word in command:
                    file.write(b"$%d\r\n%s\r\n" % (len(word), word))
                file.flush()
                reply = self.reply(file)
            return reply

    def reply(self, file):
        line = file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply(file) for _ in range(int(rest))]
        if kind == b"-":
            raise AssertionError(rest)
        return rest if kind == b"+" else int(rest or -1)

    def keys(self):
        return sorted(self.ask(b"KEYS", b"lockstep:prefix:*"))

    def kill(self):
        self.process.kill()
        self.process.wait()


class Proxy:
    """Hands bytes on, each piece after a pause."""

    def __init__(self, port, pause):
        self.to, self.pause = port, pause
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self.hand_on, args=(source, target), daemon=True).start()

    def hand_on(self, source, target):
        try:
            while data := source.recv(65536):
                time.sleep(self.pause)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            source.close()


class Store(PrefixTest):
    def setUp(self):
        super().setUp()
        self.redis = self.start()

    def start(self, port=None, *flags):
        redis = Redis(str(self.folder), port, *flags)
        self.addCleanup(redis.kill)
        return redis

    def flags(self, port=None):
        return "--prefix-store", f"redis://:{ESCAPED}@127.0.0.1:{port or self.redis.port}/3"

    def test_a_second_process_answers_from_the_store_with_the_same_bytes(self):
        self.fill(*self.flags())
        self.assertGreater(len(self.redis.keys()), TOKENS // 16)
        self.assertGreater(self.redis.ask(b"TTL", self.redis.keys()[0]), 600_000)
        server = self.server(*self.flags())
        self.assertGreater(self.warm(server), TOKENS * 3 // 4)
        self.assertGreater(self.all_right(server), 0)
        self.assertEqual(server.metrics()["errors_total"], 0)
        self.assertNotIn("hunter2", server.log_text())

    def test_the_address_may_come_from_the_environment(self):
        server = self.server("--log-level", "debug", environment={"LOCKSTEP_PREFIX_STORE": self.flags()[1]})
        self.warm(server)
        self.assertGreater(server.written(), 0)
        self.assertNotIn("hunter2", server.log_text())

    def test_damage_anywhere_is_computed_again(self):
        self.fill(*self.flags())
        chosen = random.Random(5)
        keys = self.redis.keys()
        for key in chosen.sample(keys, len(keys) // 2):
            data = bytearray(self.redis.ask(b"GET", key))
            at = chosen.choice((chosen.randrange(136), chosen.randrange(len(data))))
            kind = chosen.randrange(5)
            if kind < 2:
                data[at] ^= 1 << chosen.randrange(8)
            elif kind == 2:
                del data[at:]
            elif kind == 3:
                data += bytes(5_000_000)
            else:
                data = self.redis.ask(b"GET", chosen.choice(keys))
            self.redis.ask(b"SET", key, bytes(data))
        self.redis.ask(b"DEL", keys[0])
        self.redis.ask(b"LPUSH", keys[0], b"no string")
        server = self.server(*self.flags())
        self.warm(server)
        self.all_right(server)
        self.assertGreater(server.metrics()["errors_total"], 0)

    def test_a_wrong_password_is_no_error_of_any_request(self):
        server = self.server("--prefix-store", f"redis://:hunter3@127.0.0.1:{self.redis.port}")
        self.warm(server)
        self.all_right(server)
        self.assertGreater(server.metrics()["errors_total"], 0)
        self.assertNotIn("hunter3", server.log_text())

    def test_a_store_that_is_not_there_is_no_error_of_any_request(self):
        self.redis.kill()
        server = self.server(*self.flags())
        self.warm(server)
        self.all_right(server)

    def test_a_slow_store_costs_no_more_than_computing(self):
        self.fill(*self.flags())
        proxy = Proxy(self.redis.port, 0.2)
        self.addCleanup(proxy.listener.close)
        server = self.server(*self.flags(proxy.port))
        answer, _, seconds = server.answer(self.ids)
        self.assertEqual(answer, self.cold)
        print(f"\n  slow store: {seconds:.2f} s, cold {self.cold_seconds:.2f} s", end=" ", flush=True)
        self.all_right(server)

    def test_a_store_that_hangs_in_the_middle_of_a_load(self):
        self.fill(*self.flags())
        self.under_load(lambda: os.kill(self.redis.process.pid, signal.SIGSTOP))

    def test_a_store_that_is_killed_in_the_middle_of_a_load_and_comes_back(self):
        self.fill(*self.flags())
        server = self.under_load(self.redis.kill)
        self.redis = self.start(self.redis.port)

        def written():
            server.answer(prompt(random.randrange(1 << 20), 200), tokens=1)
            return bool(self.redis.keys())
        self.assertIsNotNone(poll(written, 60))

    def under_load(self, disturb):
        server = self.server(*self.flags())
        wrong, done = [], threading.Event()

        def ask(first):
            seed = first
            while not done.is_set():
                if server.answer(prompt(seed, 600 + 100 * seed), seed)[0] != self.others[seed - 2]:
                    wrong.append(seed)
                server.answer(prompt(random.randrange(1 << 20), 200), tokens=2)
                seed = 2 + (seed - 1) % 4
        threads = [threading.Thread(target=ask, args=(seed,)) for seed in (2, 3, 4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        disturb()
        time.sleep(3)
        done.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.warm(server)
        return server

    def test_a_store_that_another_has_taken_over_from_is_written_to_there(self):
        proxy = Proxy(self.redis.port, 0)
        self.addCleanup(proxy.listener.close)
        server = self.server(*self.flags(proxy.port))
        server.answer(self.ids)
        self.assertGreater(server.written(), 0)
        other = self.start()
        self.redis.ask(b"REPLICAOF", b"127.0.0.1", b"1")
        proxy.to = other.port

        def written():
            server.answer(prompt(random.randrange(1 << 20), 200), tokens=1)
            return bool(other.keys())
        self.assertIsNotNone(poll(written, 30))
        self.assertGreater(server.metrics()["errors_total"], 0)

    def test_a_full_store_is_no_error_of_any_request(self):
        self.redis.kill()
        self.redis = self.start(None, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
        server = self.server(*self.flags())
        self.warm(server)
        self.all_right(server)
        self.assertGreater(server.metrics()["errors_total"], 0)

    def test_a_wrong_address_ends_the_start(self):
        for address in ("rediss://:hunter2@127.0.0.1", "127.0.0.1:6379", "redis://:hunter2@:1"):
            server = self.server("--prefix-store", address, ready=None)
            self.assertEqual(server.exit_code(30), 2)
            self.assertIn("--prefix-store: ", server.log_text())
            self.assertNotIn("hunter2", server.log_text())
        both = self.server(*self.flags(), "--prefix-dir", str(self.folder), ready=None)
        self.assertEqual(both.exit_code(30), 2)
