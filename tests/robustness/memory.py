"""Clients that make the server hold memory: bodies, parsed JSON, grammars, answers that nobody reads.
What they hold together stays within what the server has planned for at its start."""
import asyncio
import random
import re
import resource
import tempfile

from client import connect, message, request
from models import wide_vocabulary
from server import Server, expect
from traffic import essence, generation, ids, until
from watch import beside

FLAGS = ("--sessions", 8, "--context", 512, "--prefix-cache", 16, "--request-memory", 64)
MIB = 1 << 20


def held_memory(test):
    """Resident memory stays below the plan's sum, probes are answered, and all is given back."""
    with Server(test.binary, *FLAGS) as server:
        planned = planned_bytes(server)
        return asyncio.run(hold(test, server, planned, server.resident_kb))


def limited_memory(test):
    """The same with no more address space than the plan and a tenth: nothing dies."""
    with Server(test.binary, *FLAGS, addresses=16 << 30) as server:
        planned = planned_bytes(server)
        limit = planned * 11 // 10
        resource.prlimit(server.pid, resource.RLIMIT_AS, (limit, limit))
        return asyncio.run(hold(test, server, limit, server.mapped_kb))


def many_sessions(test):
    """256 sessions of a model with 262,144 tokens, whose logits, masks and samplers take more than
    its weights: resident memory stays below the plan's sum."""
    with tempfile.TemporaryDirectory() as folder:
        model = wide_vocabulary(test.model, folder, 262_144)
        # With little room for anything else in the plan, so that what is missing there shows.
        with Server(test.binary, "--model", model, "--sessions", 256, "--queue", 512, "--context",
                    64, "--prefix-cache", 0, "--request-memory", 64) as server:
            planned = planned_bytes(server)
            most, statuses = asyncio.run(sample_in_all(server, 4 if test.quick else 40))
    seen = f"{most / 1024:.0f} of {planned / MIB:.0f} MiB"
    expect(statuses == {200}, f"{seen}; answers {statuses}")
    expect(most * 1024 <= planned, f"{seen}; expected at most what was planned")
    return seen


async def sample_in_all(server, tokens):
    """Every session samples with all that keeps a state: (the most resident memory, statuses)"""
    def body(seed):
        schema = {"json_schema": {"type": "array", "items": {"type": "string"}}} if seed % 2 else {}
        return generation("Once", tokens, logprobs=5, top_k=0, top_p=0.99, temperature=2,
                          repetition_penalty=1.1, frequency_penalty=0.1, **schema) | {
                              "seed": seed, "ignore_eos": not schema}

    most = 0
    answers = asyncio.gather(*(request(server.port, "/generate", body(i), timeout=300)
                               for i in range(256)))
    while not answers.done():
        most = max(most, server.resident_kb())
        await asyncio.sleep(0.02)
    return most, {reply.status for reply in await answers}


def planned_bytes(server):
    """The sum that the log's line of the plan ends with."""
    found = re.search(r'memory plan .*total="?([\d.]+) (MiB|GiB)', server.log_text())
    expect(found, f"no plan in the log: {server.log_text()}")
    return int(float(found[1]) * (MIB if found[2] == "MiB" else 1024 * MIB))


async def hold(test, server, bound, measure_kb):
    body = generation(ids(7, 30), 20)
    alone = essence(server.generate(body))
    before = measure_kb()
    seen = [f"before {before / 1024:.0f} of {bound / MIB:.0f} MiB"]
    for attack in (unread_answers, large_json, live_grammars, many_logprobs):
        most = before

        async def measured(_):
            nonlocal most
            answers = asyncio.create_task(attack(test, server))
            while not answers.done():
                most = max(most, measure_kb())
                await asyncio.sleep(0.02)
            return await answers

        statuses, times = await beside(server.port, measured, refusals=(429, 503))
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        seen.append(f"{attack.__name__} {most / 1024:.0f} MiB, answers {counts}, {times}")
        expect(most * 1024 <= bound, f"{'; '.join(seen)}; expected at most {bound / MIB:.0f} MiB")
        expect(set(statuses) <= {200, 400, 429, 503}, f"{'; '.join(seen)}; expected 200, 429 or 503")
        expect(200 in statuses or attack in (unread_answers, large_json),
               f"{'; '.join(seen)}; expected some to be served")
        free = await until(server.port, lambda queued, running: queued + running == 0, 10)
        expect(free is not None, f"{'; '.join(seen)}; sessions in use 10 s later")
        expect(essence(server.generate(body)) == alone, f"{'; '.join(seen)}; another answer than"
                                                        " before")
    used = 0
    for _ in range(100):  # the poller has 10 s for those who do not read
        used = server.metric("lockstep_request_memory_used_bytes")
        if used < 20 * MIB:  # grammars are remembered
            break
        await asyncio.sleep(0.1)
    expect(used < 20 * MIB, f"{'; '.join(seen)}; {used / MIB:.0f} MiB still counted")
    return "; ".join(seen)


async def unread_answers(test, server):
    """24 clients ask for the pieces of a megabyte of text and do not read them."""
    text = "".join(random.Random(1).choices("abcdefgh \n", k=1_000_000))
    data = message("/tokenize", {"content": text, "with_pieces": True})
    loop, open_sockets = asyncio.get_running_loop(), []

    async def one():
        sock = await connect(server.port, receive_buffer=4096)
        open_sockets.append(sock)
        await loop.sock_sendall(sock, data)
        head = await asyncio.wait_for(loop.sock_recv(sock, 64), 60)
        await asyncio.sleep(2)
        return int(head.split()[1]) if head else 503  # dropped while it came in

    try:
        return await asyncio.gather(*(one() for _ in range(24)))
    finally:
        for sock in open_sockets:
            sock.close()


async def large_json(test, server):
    """30 bodies of a megabyte that become many values."""
    shapes = ("[],", "{},", "1,", '[0],', '{"":0},', '"",')
    bodies = [b'{"prompt":[' + (shape * (1_000_000 // len(shape))).encode()[:-1] + b"]}"
              for shape in shapes]
    replies = await asyncio.gather(*(request(server.port, "/generate", bodies[i % len(bodies)])
                                     for i in range(30)))
    return [reply.status for reply in replies]


async def live_grammars(test, server):
    """8 grammars of 250 KB at work at once."""
    def body(seed):
        letters = random.Random(seed)
        words = " | ".join(f'"{"".join(letters.choices("abcdefghij", k=60))}"' for _ in range(4_000))
        return generation(ids(seed, 10), 40, grammar=f"root ::= ({words})*", temperature=1.5)

    replies = await asyncio.gather(*(request(server.port, "/generate", body(i)) for i in range(8)))
    return [reply.status for reply in replies]


async def many_logprobs(test, server):
    """Answers with all that can be told of each token."""
    replies = await asyncio.gather(*(
        request(server.port, "/v1/completions",
                {"prompt": "Once", "max_tokens": 480, "logprobs": 20, "n": 2, "seed": i,
                 "ignore_eos": True}) for i in range(8)))
    return [reply.status for reply in replies]
