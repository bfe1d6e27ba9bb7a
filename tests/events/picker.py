"""A picker of endpoints as llm-d-router's precise prefix cache is one (pkg/kvevents,
pkg/kvcache/kvblock): it hashes tokens by itself, takes the engine's hashes for names of blocks and
no more, and knows what a replica has cached from its events alone."""
import hashlib
import threading
import time

import msgpack
import zmq

BLOCK = 16
END = b"\xff" * 8


def key_of(parent, tokens, extra):
    """The picker's own name of a block: of the one before it, its tokens and its extra keys."""
    return hashlib.sha256(repr((parent, list(tokens), list(extra))).encode()).digest()


class Picker:
    """Subscribes to one server, and asks for what it missed where there is a `replay` address."""

    def __init__(self, endpoint, replay=None, model="tales"):
        self.endpoint, self.replay_endpoint, self.model = endpoint, replay, model
        self.context = zmq.Context()
        self.lock = threading.Lock()
        self.forget()
        self.last = None  # number of the last batch that was applied
        self.topics, self.batches, self.stored, self.problems = set(), [], [], []
        self.connected = threading.Event()
        self.ends = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        self.connected.wait(10)

    def close(self):
        self.ends = True
        self.thread.join()
        self.context.destroy(linger=0)

    def forget(self):
        self.key_of_engine = {}  # engine's hash: the picker's key
        self.cached = set()      # keys

    def listen(self):
        socket = self.context.socket(zmq.SUB)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        socket.subscribe("kv@")
        socket.connect(self.endpoint)
        monitor.poll(5000)
        time.sleep(0.1)  # the subscription follows the handshake
        socket.disable_monitor()
        monitor.close(0)
        with self.lock:
            self.catch_up()
        self.connected.set()
        while not self.ends:
            if socket.poll(20):
                with self.lock:
                    self.take(*socket.recv_multipart())
        socket.close(0)

    def take(self, topic, number, payload):
        number = int.from_bytes(number, "big")
        if not self.replay_endpoint:
            self.apply(topic, number, payload)
            return
        if self.last is not None and number < self.last:
            self.forget()  # another process
            self.last = None
        if self.last is not None and number <= self.last:
            return
        if number != (0 if self.last is None else self.last + 1):
            self.catch_up()
            return
        self.apply(topic, number, payload)

    def catch_up(self):
        for topic, number, payload in self.replay(0 if self.last is None else self.last + 1):
            self.apply(topic, int.from_bytes(number, "big"), payload)

    def replay(self, start):
        """The batches from that number on, as the server has them."""
        if not self.replay_endpoint:
            return []
        socket = self.context.socket(zmq.DEALER)
        socket.connect(self.replay_endpoint)
        socket.send_multipart([b"", start.to_bytes(8, "big")])
        batches = []
        while True:
            if not socket.poll(5000):
                raise AssertionError("no end of the replay")
            empty, *batch = socket.recv_multipart()
            assert empty == b"" and len(batch) == 3, batch
            if not batch[2]:
                assert batch[1] == END, batch
                socket.close(0)
                return batches
            batches.append(batch)

    def apply(self, topic, number, payload):
        self.last = number
        self.topics.add(topic.decode())
        seconds, events, rank = msgpack.unpackb(payload)
        assert abs(seconds - time.time()) < 600 and rank == 0, (seconds, rank)
        self.batches.append(events)
        for event in events:
            getattr(self, event[0])(*event[1:])

    def BlockStored(self, hashes, parent, tokens, block_size, lora_id, medium, lora_name, extra_keys):
        assert block_size == BLOCK and len(tokens) == BLOCK * len(hashes), (block_size, len(tokens))
        assert lora_id is None and medium is None and lora_name is None
        assert extra_keys is None or len(extra_keys) == len(hashes)
        if parent is not None and parent not in self.key_of_engine:
            self.problems.append(f"a block follows {parent}, which nobody stored")
            return
        self.stored.append((hashes, parent, extra_keys))
        key = self.model if parent is None else self.key_of_engine[parent]
        for i, name in enumerate(hashes):
            texts = [text for text in (extra_keys[i] or ()) if isinstance(text, str)] if extra_keys else ()
            key = key_of(key, tokens[BLOCK * i:BLOCK * (i + 1)], texts)
            if self.key_of_engine.setdefault(name, key) != key:
                self.problems.append(f"{name} names two blocks")
            if key in self.cached:
                self.problems.append(f"{name} is stored twice")
            self.cached.add(key)

    def BlockRemoved(self, hashes, medium):
        assert medium is None
        for name in hashes:
            key = self.key_of_engine.pop(name, None)
            if key not in self.cached:
                self.problems.append(f"{name} is removed and was not stored")
            self.cached.discard(key)

    def AllBlocksCleared(self):
        self.forget()

    def settle(self):
        """Waits for all events of answers that have come: who sends them answers questions, too, and
        after them."""
        for batch in self.replay(0)[-1:]:
            newest = int.from_bytes(batch[1], "big")
            end = time.monotonic() + 10
            while True:
                with self.lock:
                    if self.last is not None and self.last >= newest:
                        return
                assert time.monotonic() < end, (self.last, newest)
                time.sleep(0.002)

    def predict(self, tokens, salt=None):
        """How many of a prompt's tokens are cached; at least one of them is computed."""
        with self.lock:
            key, known = self.model, 0
            while known + BLOCK < len(tokens):
                key = key_of(key, tokens[known:known + BLOCK], [salt] if salt and not known else ())
                if key not in self.cached:
                    break
                known += BLOCK
            return known
