"""The scenarios of tests/gateway/run: what clients see of two replicas through a gateway."""
import argparse
import asyncio
import concurrent.futures
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

import resuming
from gateways import ROOT, Gateway

sys.path.append(f"{ROOT}/tests/robustness")
from client import request  # noqa: E402
from launch import poll  # noqa: E402
from server import SLOW, Failed, Server, expect  # noqa: E402

try:
    import openai
except ImportError:
    openai = None

PORT, REPLICAS = 18400, (18401, 18402)
# A gateway calls a replica by a name of its own, and has asked for its state when the delay is over.
# What runs may take as long as a crowded machine needs: it is lost connections that are looked for.
FLAGS = (*SLOW, "--sessions", 8, "--queue", 24, "--allowed-host", "*", "--drain-delay", 2,
         "--drain-timeout", 300)
STREAMS = 6
PROMPTS = [f"Once upon a time there were {n} sisters who" for n in
           ("two", "three", "four", "five", "six", "seven")]


def body(prompt, seed, tokens=48, stream=True):
    return {"model": "lockstep-tales", "prompt": prompt, "seed": seed, "max_tokens": tokens,
            "stream": stream}


async def ask(port, content, session, **options):
    return await request(port, "/v1/completions", content, headers=[f"x-session-id: {session}"],
                         **options)


def text_of(reply):
    """The text of a stream that came to its end, or else what went wrong."""
    if reply.status != 200 or not reply.body.rstrip().endswith(b"data: [DONE]"):
        raise Failed(f"{reply.status} {reply.problem} {reply.body[-200:]}")
    return "".join(event["choices"][0]["text"] for _, event in reply.events() if event["choices"])


class Replicas:
    """Both servers, each on its port."""

    def __init__(self, binary):
        self.binary = binary
        self.servers = [self.start(i) for i in range(len(REPLICAS))]

    def start(self, i):
        return Server(self.binary, *FLAGS, port=REPLICAS[i])

    async def restart(self, i):
        """As a rolling update does: the new one comes when the old one has gone of itself."""
        self.servers[i].terminate()
        code = await asyncio.to_thread(self.servers[i].exit_code, 300)
        expect(code == 0, f"a replica ended with {code} after SIGTERM, expected 0")
        self.servers[i] = await asyncio.to_thread(self.start, i)
        await asyncio.sleep(2.5)  # until the gateway has seen that it is ready

    def stop(self):
        for server in self.servers:
            server.kill()


async def rolling_restarts(gateway, replicas, restarts):
    """Six streams at a time, of conversations that hash to either replica."""
    wanted = {}
    for i, prompt in enumerate(PROMPTS):
        wanted[i] = text_of(await ask(REPLICAS[0], body(prompt, i), "a"))
    over = asyncio.Event()
    streams, problems = 0, []

    async def client(i):
        nonlocal streams
        for turn in itertools.count():
            if over.is_set():
                return
            try:
                text = text_of(await ask(gateway.port, body(PROMPTS[i], i), f"{i}-{turn}"))
                if text != wanted[i]:
                    problems.append(f"another text: {text[:80]}")
            except Failed as failure:
                problems.append(str(failure))
            streams += 1

    clients = [asyncio.create_task(client(i)) for i in range(STREAMS)]
    try:
        for n in range(restarts):
            await replicas.restart(n % 2)
    finally:
        over.set()
        await asyncio.gather(*clients)
    expect(not problems, f"{len(problems)} of {streams} streams were not whole: {problems[:3]}")
    return f"{restarts} restarts, {streams} streams whole"


async def leaving_client(gateway, replicas):
    """Its session is free soon after the gateway's connection to the client has closed."""
    begun = asyncio.Event()
    reply = await ask(gateway.port, body(PROMPTS[0], 1, tokens=400), "leaves", on_piece=begun.set,
                      stop=begun)
    expect(reply.status == 200, f"{reply.status} {reply.problem}, expected a stream")
    freed = await asyncio.to_thread(
        poll, lambda: all(server.work() == (0, 0) for server in replicas.servers), 5)
    expect(freed is not None and freed < 1, f"a session was free {freed} s after its client left")
    return f"session free after {freed * 1000:.0f} ms"


async def refusal(gateway):
    """More than sessions and queue hold, all for one replica."""
    replies = await asyncio.gather(*(ask(gateway.port, body(PROMPTS[0], n, 8), "one")
                                     for n in range(40)))
    refused = [reply for reply in replies if reply.status == 429]
    expect(refused and all(reply.status in (200, 429) for reply in replies),
           f"statuses {sorted({reply.status for reply in replies})}, expected 200 and 429")
    pauses = [reply.headers.get("retry-after") for reply in refused]
    expect(all(pause and int(pause) >= 1 for pause in pauses), f"Retry-After: {set(pauses)}")
    return f"{len(refused)} of 40 refused, each with Retry-After"


async def second_turn(gateway):
    """What one conversation has in common with its next turn is cached where it goes."""
    shares = []
    for n in range(8):
        prompt = f"Tale {n}. " + "The king had a golden apple tree in his garden. " * 12
        first = await ask(gateway.port, body(prompt, 1, 16, stream=False), f"conversation-{n}")
        expect(first.status == 200, f"{first.status} {first.body[:300]}, expected 200")
        longer = prompt + first.json()["choices"][0]["text"]
        second = await ask(gateway.port, body(longer, 1, 16, stream=False), f"conversation-{n}")
        cached = second.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
        shares.append(cached / first.json()["usage"]["prompt_tokens"])
    expect(min(shares) >= 0.9, f"{min(shares):.2f} of a first turn's prompt was cached for the second")
    return f"{min(shares):.0%} of a first turn's prompt cached"


def plain_client(url, content, session, on_event):
    texts = []
    for _, data in resuming.events(f"{url}/completions", json.dumps(content).encode(),
                                   {"x-session-id": session}):
        on_event()
        if data != "[DONE]":
            texts += [choice["text"] for choice in json.loads(data)["choices"]]
    return "".join(texts)


def openai_client(url, content, session, on_event):
    """OpenAI's package, which knows nothing of the resuming below it."""
    http = resuming.httpx.Client(transport=resuming.Resuming(), timeout=120)
    client = openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=20,
                           default_headers={"x-session-id": session})
    texts = []
    for chunk in client.completions.create(**content):
        on_event()
        texts += [choice.text for choice in chunk.choices]
    return "".join(texts)


def fetch_client(url, content, session, on_event):
    """In Node.js, with the fetch and the parser of events that a page has."""
    on_event()
    return subprocess.run(["node", f"{ROOT}/tests/clients/resuming.mjs", f"{url}/completions",
                           json.dumps(content), session], capture_output=True, text=True,
                          check=True, timeout=300).stdout


def killed_replica(gateway, replicas):
    """One of two is killed in the middle of 32 streams; each goes on at the other one."""
    kinds = [plain_client] * 8
    if openai and resuming.httpx:
        kinds[1] = kinds[5] = openai_client
    if os.path.exists(f"{ROOT}/tests/clients/node_modules/eventsource-parser"):
        kinds[3] = fetch_client
    url = f"http://127.0.0.1:{gateway.port}/v1"
    wanted = {i: plain_client(f"http://127.0.0.1:{REPLICAS[0]}/v1", body(PROMPTS[i], i, 24), "a",
                              lambda: None) for i in range(len(PROMPTS))}
    ongoing, lock, middle = 0, threading.Lock(), threading.Event()

    def client(n):
        seen = 0

        def on_event():
            nonlocal seen, ongoing
            seen += 1
            with lock:
                ongoing += seen == 3
                if ongoing >= 8:
                    middle.set()

        i = n % len(PROMPTS)
        text = kinds[n % 8](url, body(PROMPTS[i], i, 24), f"resumes-{n}", on_event)
        if text != wanted[i]:
            return f"{kinds[n % 8].__name__} had {text!r}, expected {wanted[i]!r}"
        return None

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        clients = [pool.submit(client, n) for n in range(32)]
        expect(middle.wait(60), "the streams did not begin")
        replicas.servers[0].kill()
        problems = [found for future in clients if (found := future.result())]
    resumed = replicas.servers[1].metric("lockstep_resumed_streams_total")
    expect(not problems, f"{len(problems)} of 32 streams were not whole: {problems[:3]}")
    expect(resumed > 0, "no stream was gone on with")
    replicas.servers[0] = replicas.start(0)
    names = ", ".join(sorted({kind.__name__ for kind in kinds}))
    return f"a replica killed under 32 streams of {names}: {resumed:.0f} resumed, all the same text"


async def scenarios(name, options):
    with tempfile.TemporaryDirectory() as folder:
        replicas = Replicas(options.binary)
        try:
            with Gateway(name, options.gateways, folder, PORT, REPLICAS) as gateway:
                seen = [await second_turn(gateway), await leaving_client(gateway, replicas),
                        await refusal(gateway)]
                seen.append(await asyncio.to_thread(killed_replica, gateway, replicas))
                seen.append(await rolling_restarts(gateway, replicas, options.restarts))
                return "; ".join(seen)
        finally:
            replicas.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateways", required=True, help="the folder that they are unpacked in")
    parser.add_argument("--binary", default=f"{ROOT}/build/release/lockstep")
    parser.add_argument("--only", default="haproxy,nginx,envoy")
    parser.add_argument("--restarts", type=int, default=4, help="of a replica, behind each gateway")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    failed = 0
    for name in options.only.split(","):
        start = time.monotonic()
        try:
            verdict, seen = "ok", asyncio.run(scenarios(name, options))
        except Failed as failure:
            verdict, seen = "FAILED", failure
            failed += 1
        print(f"{verdict:7} {name} ({time.monotonic() - start:.0f} s): {seen}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
