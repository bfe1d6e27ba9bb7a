"""Grammars and schemas that take long: whoever sends them waits, and nobody else does."""
import asyncio
import collections
import functools
import json
import time

from client import request
from server import Server, expect
from traffic import generation, until
from watch import STREAMS, beside


def paired_enums(seed, pairs=11):
    """A schema of some 220 kB: lists that must hold together, in pairs."""
    def listed(pair, first):
        return {"enum": [f"{seed}.{pair}.{i}" for i in range(first, first + 900)]}

    properties = {f"p{pair}": {"allOf": [listed(pair, 0), listed(pair, 450)]}
                  for pair in range(pairs)}
    return {"type": "object", "properties": properties, "required": list(properties)}


def large_automata(seed):
    """Patterns of which each has thousands of states."""
    return {"type": "object", "properties": {
        f"p{i}": {"type": "string", "pattern": f"^{seed}(a|b)*a(a|b){{11}}c{{0,{i}}}$",
                  "minLength": i % 7} for i in range(200)}}


# Each has more to do in a step, or before the first one, than a step has time for.
GRAMMARS = {
    "empty alternatives": 'root ::= ("a"' + ' | ""' * 60_000 + ")*",
    "optional letters": 'root ::= ([a-z]? [a-z]?){4000} "."',
    "nested lists": "root ::= r9\n" + "".join(
        f"r{i} ::= (r{i - 1} | r{i - 1} r{i - 1})*  \n" for i in range(1, 10)) + 'r0 ::= "a" | "aa"',
    "two endings": 's ::= [a-z ] s "b" | [a-z ] s "c" | [a-z ] s s | ""\nroot ::= s',
    "many rules": "root ::= " + " | ".join(f"r{i}" for i in range(20_000)) + "\n" + "".join(
        f'r{i} ::= [a-z ]* "{i}"\n' for i in range(20_000)),
    "classes": "root ::= (" + " | ".join(f"[\\U{0x10000 + 7 * i:08x}-\\U{0x10003 + 7 * i:08x}] x"
                                        for i in range(8000)) + ")*\nx ::= [a-z ]{0,3}",
}


def bound(seed, **fields):
    return generation("Once", 40, **fields) | {"ignore_eos": False, "seed": seed}


def compiling(test):
    """A hundred clients send schemas that take long, and most of them leave: others do not notice."""
    with Server(test.binary) as server:
        return asyncio.run(compile_for(test, server.port))


async def compile_for(test, port):
    async def flood(n):
        # Made beforehand: while the client makes them, it does not look at the clock.
        bodies = [json.dumps(bound(i, json_schema=(paired_enums if i % 2 else large_automata)(i)))
                  .encode() for i in range(100 * n, 100 * n + 100)]
        clients = asyncio.gather(*(
            request(port, "/generate", body, timeout=20 if i % 10 == 0 else 0.1 + test.random())
            for i, body in enumerate(bodies)))
        generated = []
        while not clients.done():
            reply = await request(port, "/generate", generation("Once", 4), timeout=10)
            expect(reply.status == 200, f"/generate: {reply.status} {reply.problem}, expected 200")
            generated.append(reply.seconds)
            await asyncio.sleep(0.1)
        counts = collections.Counter(reply.status for reply in await clients)
        free = await until(port, lambda queued, running: queued + running <= STREAMS, 5)
        seen = (f"/generate {len(generated)} times in {max(generated):.2f} s; the flood got"
                f" {dict(counts)} (0: it left)")
        expect(free is not None, f"{seen}; something still runs")
        return seen, max(generated)

    (seen, slowest), times = await beside(port, flood)
    expect(slowest < 2, f"{seen}; expected /generate within 2 s")
    return f"{times}; {seen}"


def costly_steps(test):
    """Grammars that have much to do between two tokens: whoever sends them waits, and others do
    not."""
    seen = []
    with Server(test.binary) as server:
        for name, grammar in GRAMMARS.items():
            statuses, times = asyncio.run(beside(server.port, functools.partial(
                walk_grammar, server.port, grammar, 3 if test.quick else 20)))
            expect(set(statuses) <= {0, 200, 400}, f"{name}: {statuses}, expected 200 or 400")
            expect(server.idle_within(5) is not None, f"{name}: still runs 5 s after its clients left")
            seen.append(f"{name} {statuses}: {times}")
    return "; ".join(seen)


async def walk_grammar(port, grammar, patience, n):
    replies = await asyncio.gather(*(
        request(port, "/generate", bound(seed, grammar=grammar + "\n" * n), timeout=patience)
        for seed in range(3)))
    return [reply.status for reply in replies]


def hostile_drain(test):
    """SIGTERM while grammars and schemas that take long are compiled and walked: it ends in time."""
    slowest = {}
    timeout = 2
    bodies = {name: {"grammar": grammar} for name, grammar in GRAMMARS.items()}
    bodies |= {"enums": {"json_schema": paired_enums(0)}, "automata": {"json_schema":
                                                                       large_automata(0)}}
    for name, fields in bodies.items():
        with Server(test.binary, "--drain-timeout", timeout) as server:
            slowest[name], outcomes = asyncio.run(drain_hostile(test, server, fields))
            expect(slowest[name] < timeout + 3, f"{name}: {slowest[name]:.1f} s until the exit,"
                                                f" drain timeout {timeout} s; {outcomes}")
    name = max(slowest, key=slowest.get)
    return (f"{len(slowest)} kinds; the slowest, {name}, ended {slowest[name]:.1f} s after SIGTERM,"
            f" with a timeout of {timeout} s")


async def drain_hostile(test, server, fields):
    clients = [asyncio.create_task(request(server.port, "/generate", bound(seed, **fields)))
               for seed in range(8)]
    await asyncio.sleep(0.2 + test.random())
    server.terminate()
    start = time.monotonic()
    code = await asyncio.to_thread(server.exit_code, 60)
    seconds = time.monotonic() - start
    replies = await asyncio.gather(*clients)
    expect(code == 0, f"exit code {code}, expected 0; {json.dumps(fields)[:100]}")
    return seconds, sorted(reply.status for reply in replies)
