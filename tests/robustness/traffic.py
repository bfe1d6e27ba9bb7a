"""Requests that the scenarios send, and what they look at in the answers."""
import asyncio
import json
import random
import time

from client import request
from server import expect


def ids(seed, count):
    """A prompt of random ids of whole pieces of text, all of which the embedded model has."""
    return [1] + random.Random(seed).choices(range(300, 4000), k=count - 1)


def generation(prompt, max_tokens, **fields):
    return {"prompt": prompt, "max_tokens": max_tokens, "seed": 1, "ignore_eos": True, **fields}


def essence(answer):
    """What a request's answer must always be, whatever else the server does."""
    return {key: answer.get(key) for key in ("text", "tokens", "logprobs", "finish_reason")}


def cached_tokens(answer):
    usage = answer["usage"]
    return usage.get("cached_tokens",
                     usage.get("prompt_tokens_details", {}).get("cached_tokens"))


def streamed_answer(reply):
    """The last event of a stream that came whole, with what its tokens' events said compared."""
    events = [event for _, event in reply.events()]
    expect(reply.status == 200 and reply.whole and events and events[-1].get("done"),
           f"a stream: status {reply.status}, {reply.problem or events[-1:]}, expected a whole one")
    last = events[-1]
    expect([event["token"] for event in events[:-1]] == last["tokens"] and
           "".join(event["text"] for event in events[:-1]) == last["text"],
           "a stream's events do not add up to its last one")
    return last


def is_whole_or_failed(reply):
    """True if a stream ended as one may: finished, or with an event that says why it did not."""
    events = [event for _, event in reply.events()]
    return bool(reply.whole and events and (events[-1].get("done") or "error" in events[-1]))


async def work(port):
    """(queued, running)"""
    reply = await request(port, "/readyz", timeout=10)
    expect(reply.body.startswith(b"{"), f"/readyz: {reply.status} {reply.problem}")
    state = reply.json()
    return state["queued"], state["running"]


async def until(port, condition, seconds):
    """Waits until condition(queued, running): how long it took, or None if it did not come."""
    start = time.monotonic()
    while not condition(*await work(port)):
        if time.monotonic() - start > seconds:
            return None
        await asyncio.sleep(0.01)
    return time.monotonic() - start


class Neighbour:
    """Streams the same request again and again, while others misbehave, and compares each answer
    with the one it got alone. An async context manager."""

    def __init__(self, port, body):
        self.port, self.body = port, {**body, "stream": True}
        self.answers = self.tokens = 0

    async def alone(self):
        return essence(streamed_answer(await request(self.port, "/generate", self.body)))

    async def __aenter__(self):
        self.expected = await self.alone()
        self._stop = False
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, kind, error, trace):
        self._stop = True
        if kind:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        else:
            await self._task

    async def _run(self):
        while not self._stop:
            seen = await self.alone()
            expect(seen == self.expected, f"the neighbour's answer {json.dumps(seen)[:300]},"
                                          f" expected {json.dumps(self.expected)[:300]}")
            self.answers += 1
            self.tokens += len(seen["tokens"])
