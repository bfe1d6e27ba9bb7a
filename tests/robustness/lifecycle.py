"""The process itself: how it starts, ends, and is ended, and the system that it runs on."""
import asyncio
import fcntl
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from client import probe_livez, request
from launch import free_port, poll
from server import SLOW, Failed, Server, Skipped, expect
from traffic import essence, generation, ids, is_whole_or_failed


def drain(test):
    """SIGTERM with 4 streams running, that have the time to finish or have not."""
    longest, whole, cut = 0.0, 0, 0
    times = 4 if test.quick else 20
    for i in range(times):
        timeout = 1 if i % 2 else 25
        with Server(test.binary, *SLOW, "--drain-timeout", timeout) as server:
            # With 5 steps to come the streams end by themselves, with 400 they are ended.
            tokens = 400 if timeout == 1 else 5 + int(20 * test.random())
            seconds, finished = asyncio.run(drain_once(server, tokens, timeout))
        expect((finished == 4) == (timeout == 25),
               f"{finished} of 4 streams of {tokens} tokens finished, drain timeout {timeout} s")
        whole, cut = whole + finished, cut + 4 - finished
        longest = max(longest, seconds - timeout if timeout == 1 else 0)
    code, at_once = second_signal(test)
    return (f"{times} times exit 0; {whole} streams whole, {cut} ended by an error event, at most"
            f" {longest:.1f} s after the timeout; a second SIGTERM ends in {at_once:.2f} s"
            f" (exit code {code}); one while threads start in {early_signal(test):.2f} s")


async def drain_once(server, tokens, timeout):
    """(seconds from SIGTERM to the exit, streams that finished)"""
    begun = [asyncio.Event() for _ in range(4)]
    streams = [asyncio.create_task(request(
        server.port, "/generate", generation(ids(i, 8), tokens, stream=True),
        on_piece=event.set)) for i, event in enumerate(begun)]
    for event in begun:
        await event.wait()
    server.terminate()
    start = time.monotonic()
    await asyncio.sleep(0.05)
    ready, refused = await asyncio.gather(
        request(server.port, "/readyz", timeout=5),
        request(server.port, "/generate", generation("Once", 4), timeout=5))
    replies = await asyncio.gather(*streams)
    code = await asyncio.to_thread(server.exit_code, timeout + 5)
    seconds = time.monotonic() - start
    for reply in (ready, refused):
        expect(reply.status == 503 and "retry-after" in reply.headers,
               f"50 ms after SIGTERM: {reply.status} {reply.problem} {reply.headers}, expected 503"
               f" with Retry-After for both /readyz and /generate")
    expect(code == 0, f"exit code {code} {seconds:.1f} s after SIGTERM, expected 0")
    expect(seconds < timeout + 3, f"{seconds:.1f} s until the exit, drain timeout {timeout} s")
    for reply in replies:
        expect(is_whole_or_failed(reply), f"a stream ended with {reply.events()[-1:]}"
                                          f" {reply.problem}, expected done or an error event")
    return seconds, sum(1 for reply in replies if reply.events()[-1][1].get("done"))


def second_signal(test):
    with Server(test.binary, *SLOW) as server:
        client = socket.create_connection(("127.0.0.1", server.port))
        body = b'{"prompt":[1],"max_tokens":400,"ignore_eos":true}'
        client.sendall(b"POST /generate HTTP/1.1\r\nHost: localhost\r\n"
                       b"Content-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        expect(poll(lambda: server.work()[1] == 1, 5) is not None, "the request does not run")
        server.terminate()
        time.sleep(0.3)
        expect(server.process.poll() is None, "ended on the first SIGTERM with work left")
        start = time.monotonic()
        server.terminate()
        code = server.exit_code(5)
        client.close()
        seconds = time.monotonic() - start
        expect(code is not None and seconds < 1,
               f"exit code {code} {seconds:.1f} s after the second SIGTERM, expected within 1 s")
        return code, seconds


def early_signal(test):
    """SIGTERM while the server's threads start: the seconds until it has ended."""
    with Server(test.binary, "--queue", 20000, wait=False) as server:
        tasks = f"/proc/{server.process.pid}/task"
        expect(poll(lambda: len(os.listdir(tasks)) > 100, 10) is not None, "no threads")
        threads = len(os.listdir(tasks))
        expect(threads < 20000, f"all {threads} threads were there at once")
        start = time.monotonic()
        server.terminate()
        code = server.exit_code(5)
        seconds = time.monotonic() - start
        expect(code == 0, f"exit code {code} on a SIGTERM after {threads} threads, expected 0")
    return seconds


def crash(test):
    """kill -9 under load and start again on the same port, with no cleanup between."""
    times, slowest, port = 4 if test.quick else 20, 0.0, free_port()
    end = threading.Event()
    statuses = {}

    async def client(seed):
        while not end.is_set():
            reply = await request(port, "/generate", generation(ids(seed, 50), 100), timeout=10)
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
            await asyncio.sleep(0.02)

    async def clients():
        await asyncio.gather(*(client(seed) for seed in range(8)))

    load = threading.Thread(target=asyncio.run, args=(clients(),))
    load.start()
    try:
        for _ in range(times):
            with Server(test.binary, port=port) as server:
                slowest = max(slowest, server.ready_seconds)
                time.sleep(0.1 + 0.3 * test.random())
    finally:
        end.set()
        load.join()
    expect(slowest < 5, f"ready after {slowest:.1f} s, expected within 5 s")
    expect(set(statuses) <= {0, 200, 503} and statuses.get(200),
           f"clients got {statuses}, expected 200, 503 while loading, or no answer")
    return f"{times} times ready again within {slowest:.2f} s; clients got {statuses}"


def replaced_file(test):
    """Another file is renamed over the one that is served: the answers stay those of the first."""
    with tempfile.TemporaryDirectory() as folder:
        model = shutil.copy(test.model, f"{folder}/model.gguf")
        with Server(test.binary, "--model", model) as server:
            body = generation("Once upon a time", 100, temperature=0, logprobs=1)
            before = essence(server.generate(body))
            with open(f"{folder}/new.gguf", "wb") as other:
                other.write(b"GGUF, but no more than that")
            os.rename(other.name, model)
            after = essence(server.generate(body))
    expect(before == after, f"{str(before)[:200]} before, {str(after)[:200]} after")
    return "100 greedy tokens and their logprobs equal before and after"


def lost_output(test):
    """The log's reader goes away or sleeps, or the disk is full: serving goes on."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as pipe, Server(test.binary, output=pipe, wait=False) as server:
        with os.fdopen(read_end) as reader:
            first = reader.readline()  # as `lockstep 2>&1 | head -1` does
        expect(poll(lambda: server.status("/readyz") == 200, 10) is not None, "not ready")
        for _ in range(20):
            server.generate(generation("Once", 4))
        server.terminate()
        expect((code := server.exit_code(5)) == 0, f"exit code {code} with a closed pipe")
    dropped = unread_log(test)
    with open("/dev/full", "w") as full, Server(test.binary, output=full) as server:
        for _ in range(20):
            server.generate(generation("Once", 4))
        server.terminate()
        expect((code := server.exit_code(5)) == 0, f"exit code {code} with a full disk")
    return (f"20 answers and exit 0 each; the first line was {first[:60]!r}...; {dropped} lines of"
            " JSON dropped, the rest whole")


def unread_log(test):
    """A log of JSON that nobody reads, and then somebody: how many lines were dropped meanwhile."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)  # is full after a few lines
    os.set_blocking(read_end, False)
    flags = ("--log-format", "json")
    with os.fdopen(write_end, "w") as pipe, os.fdopen(read_end) as reader, \
            Server(test.binary, *flags, output=pipe) as server:
        statuses, slowest = asyncio.run(crowd_of_small(server.port))
        expect(statuses == {200} and slowest < 2,
               f"answers {statuses}, /livez in {slowest:.2f} s, with a pipe nobody reads")
        dropped = server.metric("lockstep_log_lines_dropped_total")
        expect(dropped > 0, "no line was dropped with a pipe nobody reads")
        before = reader.read()
        server.generate(generation("Once", 4))
        server.terminate()
        expect((code := server.exit_code(5)) == 0, f"exit code {code} with a pipe nobody reads")
        lines = [json.loads(line) for line in (before + (reader.read() or "")).splitlines()]
    told = [line["lines"] for line in lines if "dropped" in line["message"]]
    expect(sum(told) == dropped, f"the log tells of {told} dropped lines, /metrics of {dropped}")
    return int(dropped)


async def crowd_of_small(port):
    """16 clients with short requests: (their statuses, the slowest /livez meanwhile)"""
    statuses, over = set(), asyncio.Event()

    async def client():
        for _ in range(10):
            statuses.add((await request(port, "/generate", generation("Once", 2))).status)

    probing = asyncio.create_task(probe_livez(port, over))
    await asyncio.gather(*(client() for _ in range(16)))
    over.set()
    probed, slowest = await probing
    return statuses | probed, slowest


def few_descriptors(test):
    """200 connections to a server that may open 64 descriptors."""
    with Server(test.binary, open_files=64) as server:
        crowd = [socket.socket() for _ in range(200)]
        for sock in crowd:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", server.port))
        time.sleep(0.5)
        seconds = 2
        start = server.cpu_seconds()
        time.sleep(seconds)
        cpu = (server.cpu_seconds() - start) / seconds
        held = server.descriptors()
        for sock in crowd:
            sock.close()
        again = poll(lambda: server.status("/livez") == 200, 10)
        seen = f"{held} descriptors, {cpu:.0%} of a processor"
        expect(again is not None, f"{seen}; /livez not answered within 10 s after they left")
        server.generate(generation("Once", 4))
        expect(cpu < 0.2, f"{seen}; expected below 20%")
    return f"{seen} while 200 wait; /livez answers {again:.2f} s after they left"


BAD_FLAGS = [
    ["--port", "0"], ["--port", "65536"], ["--port", "http"], ["--host", ""], ["--threads", "0"],
    ["--threads", "-1"], ["--threads", "9999"], ["--sessions", "0"], ["--sessions", "1.5"],
    ["--context", "0"], ["--context", "513"], ["--queue", "0"], ["--queue", "many"],
    ["--prefill-tokens", "0"], ["--drain-timeout", "-1"], ["--kv-type", "f8"],
    ["--isa", "sse9"], ["--log-level", "loud"], ["--log-format", "xml"], ["--no-such-flag", "1"],
    ["--model", "/no/such/file.gguf"],
]


def bad_flags(test):
    """Each bad value ends the start with code 2 and a message that names the flag."""
    wrong = []
    for flag, value in BAD_FLAGS:
        command = [test.binary] + ([] if flag == "--port" else ["--port", str(free_port())])
        seen = subprocess.run([*command, flag, value], capture_output=True, text=True, timeout=10)
        named = flag in seen.stderr or (flag == "--model" and value in seen.stderr)
        if seen.returncode != 2 or not named:
            wrong.append(f"{flag} {value!r}: code {seen.returncode}, {seen.stderr[-200:]!r}")
    variable = subprocess.run([test.binary], env={"LOCKSTEP_QUEUE": "0"}, capture_output=True,
                              text=True, timeout=10)
    if variable.returncode != 2 or not re.search("--queue|LOCKSTEP_QUEUE", variable.stderr):
        wrong.append(f"LOCKSTEP_QUEUE=0: code {variable.returncode}, {variable.stderr[-200:]!r}")
    expect(not wrong, "; ".join(wrong) + "; expected code 2 and the flag's name")
    return f"{len(BAD_FLAGS)} flags and a variable: exit code 2, each named"


def clock_jump(test):
    """The wall clock jumps an hour, forth and back: no deadline fires, nothing stalls."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not libraries:
        raise Skipped("libfaketime is not installed (Debian: faketime)")
    with tempfile.NamedTemporaryFile("w") as clock:
        def jump(offset):
            clock.seek(0)
            clock.truncate()
            clock.write(offset)
            clock.flush()

        jump("+0")
        # The monotonic clock does not jump on a real machine either.
        fake = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": clock.name,
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with Server(test.binary, *SLOW, environment=fake) as server:
            answers = [asyncio.run(over_jump(server, jump, o)) for o in ("+0", "+3600", "-3600")]
            log = server.log_text()
    expect(all(answer == answers[0] for answer in answers), f"answers differ: {answers}")
    hours = {line[11:13] for line in log.splitlines() if re.match(r"\d{4}-", line)}
    if len(hours) < 3:
        raise Failed(f"the log's hours are {sorted(hours)}: the clock has not jumped")
    return "streams over jumps of +-1 h are as without"


async def over_jump(server, jump, offset):
    begun = asyncio.Event()
    stream = asyncio.create_task(request(
        server.port, "/generate", generation(ids(1, 8), 20, stream=True), on_piece=begun.set,
        timeout=20))
    await begun.wait()
    jump(offset)
    reply = await stream
    expect(reply.whole, f"a stream over a jump of {offset} s: {reply.problem}")
    return essence(reply.events()[-1][1])
