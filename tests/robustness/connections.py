"""Clients that misbehave: that leave, drip, come in crowds or do not read."""
import asyncio
import collections
import contextlib
import tempfile
import time

from client import connect, message, request
from models import long_context
from server import SLOW, Failed, Server, expect
from traffic import Neighbour, generation, ids, until, work
from watch import beside


def disconnects(test):
    """Clients leave at random moments, by close and by reset: their sessions are free at once. Who
    has only sent all gets the answer."""
    moments = 12 if test.quick else 100
    with Server(test.binary, *SLOW, "--sessions", 2, "--prefill-tokens", 32) as server:
        left = asyncio.run(leave_often(test, server.port, moments))
        return f"{left}; {asyncio.run(send_all(server.port))} answers to who had sent all"


async def send_all(port):
    """Requests whose clients shut down their sending side behind them: how many were answered."""
    answered = 0
    for tokens in (2, 40):  # at once, and after more than a second
        for stream in (False, True):
            body = generation(ids(7, 100), tokens, stream=stream)
            whole = await request(port, "/generate", body)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                writer.write(message("/generate", body))
                writer.write_eof()
                data = await asyncio.wait_for(reader.read(), 30)
            interim = b"HTTP/1.1 100 Continue\r\n\r\n"
            while data.startswith(interim):
                data = data[len(interim):]
            expect(data.startswith(b"HTTP/1.1 200 OK\r\n") and whole.status == 200,
                   f"{tokens} tokens, stream {stream}, sending ended: {data[:100]}, expected 200")
            if stream:
                expect(data.rstrip().endswith(b"0"), f"the stream is not whole: {data[-100:]}")
            answered += 1
    return answered


async def leave_often(test, port, moments):
    slowest = dict.fromkeys(("queue", "prefill", "decode"), 0.0)
    seen = dict.fromkeys(slowest, 0)
    neighbour = Neighbour(port, generation(ids(0, 8), 30, logprobs=2))
    async with neighbour:
        for moment in range(moments):
            phase, reset = list(slowest)[moment % 3], moment % 2 == 0
            seconds = await leave(test, port, phase, reset, moment)
            expect(seconds is not None and seconds < 1,
                   f"{phase}, {'reset' if reset else 'close'}, moment {moment}: "
                   f"{'not' if seconds is None else f'{seconds:.2f} s until'} free,"
                   " expected within 1 s")
            slowest[phase] = max(slowest[phase], seconds)
            seen[phase] += 1
    expect(neighbour.answers > 0, "the neighbour got no answer")
    times = ", ".join(f"{phase} {count} times, free after {slowest[phase]:.2f} s at most"
                      for phase, count in seen.items())
    return f"left in {times}; the neighbour's {neighbour.answers} answers as alone"


async def leave(test, port, phase, reset, seed):
    """One client comes and leaves: how long its session or its place in the queue was taken."""
    # 100 tokens are half a second of prefill; the tokens after them last longer than any wait here.
    body = generation(ids(seed + 1, 100), 400, stream=True)
    if phase == "queue":
        holder = asyncio.create_task(request(port, "/generate", body))
        await until(port, lambda queued, running: queued == 0 and running >= 1, 5)
        await asyncio.sleep(0.1)
        # Two in the queue: the first of them may still get a session that the neighbour had.
        others = [asyncio.create_task(request(port, "/generate", body, timeout=0.3 + test.random(),
                                              reset=reset)) for _ in range(2)]
        await asyncio.gather(*others)
        freed = await until(port, lambda queued, running: queued + running <= 2, 5)
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        await until(port, lambda queued, running: queued + running <= 1, 5)
        return freed
    if phase == "prefill":
        await request(port, "/generate", body, timeout=0.02 + 0.4 * test.random(), reset=reset)
    else:
        first = asyncio.Event()
        task = asyncio.create_task(request(port, "/generate", body, reset=reset,
                                           on_piece=first.set))
        await first.wait()
        await asyncio.sleep(0.5 * test.random())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return await until(port, lambda queued, running: queued + running <= 1, 5)


def drip(test):
    """300 connections that send a header's byte every 2 s leave /livez and /generate unharmed."""
    seconds = 8 if test.quick else test.seconds or 60
    with Server(test.binary) as server:
        return asyncio.run(drip_on(server.port, 300, seconds))


async def drip_on(port, count, seconds):
    ended = []  # (status, after how many seconds)
    generated = []

    async def crowd(_):
        end = time.monotonic() + seconds

        async def one():
            while time.monotonic() < end:
                ended.append(await drip_once(port))

        async def generate():
            while time.monotonic() < end:
                reply = await request(port, "/generate", generation("Once", 8), timeout=15)
                expect(reply.status == 200 and reply.whole, f"/generate: {reply.status}"
                                                            f" {reply.problem}")
                generated.append(reply.seconds)
                await asyncio.sleep(0.5)

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
            group.create_task(generate())

    _, times = await beside(port, crowd)
    latest = max(after for _, after in ended)
    answers = dict(collections.Counter(status for status, _ in ended))
    seen = (f"{times}; /generate {len(generated)} times, at most {max(generated) * 1000:.0f} ms;"
            f" drippers got {answers}, the last after {latest:.1f} s")
    expect(set(answers) == {408} and len(ended) >= count and latest < 20,
           f"{seen}; expected 408 for all, within 20 s")
    return seen


async def drip_once(port):
    """Sends a header byte by byte until the server has had enough: (status, seconds)."""
    loop, start = asyncio.get_running_loop(), time.monotonic()
    with await connect(port) as sock:
        reader = asyncio.create_task(loop.sock_recv(sock, 4096))
        data = message("/livez", headers=("X-Drip: ",))[:-4]
        with contextlib.suppress(OSError):
            while not reader.done() and time.monotonic() - start < 40:
                await loop.sock_sendall(sock, data)
                data = b"x"
                await asyncio.wait([reader], timeout=2)
        reader.cancel()
        reply = (await asyncio.gather(reader, return_exceptions=True))[0]
    status = int(reply.split()[1]) if isinstance(reply, bytes) and reply else 0
    return status, time.monotonic() - start


def slow_bodies(test):
    """More bodies sent byte by byte than there are connections: others still get in at once."""
    with Server(test.binary) as server:
        before = server.descriptors()
        seen = asyncio.run(send_slowly(server.port, 1100, 8 if test.quick else 40))
        after = settle(server, before)
        server.generate(generation("Once", 4))
    expect(after <= before, f"{seen}; {after} descriptors, {before} before")
    return seen


async def send_slowly(port, count, seconds):
    ended = []

    async def crowd(_):
        end = time.monotonic() + seconds

        async def one(i):
            # They come over a second, and come again, as a crowd does.
            await asyncio.sleep(i / count)
            while time.monotonic() < end:
                ended.append(await body_in_drips(port, end))
                await asyncio.sleep(0.2)

        await asyncio.gather(*(one(i) for i in range(count)))

    _, times = await beside(port, crowd)
    seen = f"{count} bodies at a time, ended with {dict(collections.Counter(ended))}; {times}"
    expect(set(ended) <= {0, 408, 503}, f"{seen}; expected 408 or 503 for those who are ended")
    expect(set(ended) & {408, 503}, f"{seen}; expected some to be told why")
    return seen


async def body_in_drips(port, end):
    """Sends a byte of a body each 2 s until the server has had enough or time is over: its status,
    0 without one."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        with await connect(port) as sock:
            reader = asyncio.create_task(loop.sock_recv(sock, 4096))
            data = message("/generate", b"x" * 1000)[:-1000]
            while not reader.done() and time.monotonic() < end:
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(sock, data)
                data = b"x"
                await asyncio.wait([reader], timeout=2)
            reader.cancel()
            reply = (await asyncio.gather(reader, return_exceptions=True))[0]
            return int(reply.split()[1]) if isinstance(reply, bytes) and reply else 0
    return 0


def overload(test):
    """64 clients, 2 sessions and 8 places to wait: 200 or 429 for each, and nothing is left."""
    with Server(test.binary, "--sessions", 2, "--queue", 8) as server:
        server.generate(generation("Once", 4))
        before = server.descriptors()
        seen = asyncio.run(crowd(server.port, 64, 3 if test.quick else 20))
        after = settle(server, before)
    expect(after <= before, f"{after} descriptors, {before} before: {seen}")
    return f"{seen}; descriptors {before} before, {after} after"


def settle(server, before):
    """The descriptors when they are as few as before, or after 5 s."""
    end = time.monotonic() + 5
    while server.descriptors() > before and time.monotonic() < end:
        time.sleep(0.05)
    return server.descriptors()


async def crowd(port, clients, seconds):
    end = time.monotonic() + seconds
    replies = []

    async def client(seed):
        while time.monotonic() < end:
            reply = await request(port, "/generate", generation(ids(seed, 100), 200), timeout=30)
            replies.append(reply)
            await asyncio.sleep(0.05 if reply.status == 429 else 0)

    await asyncio.gather(*(client(seed) for seed in range(clients)))
    wrong = [(r.status, r.problem) for r in replies if r.status not in (200, 429) or not r.whole]
    expect(not wrong, f"{len(wrong)} of {len(replies)} requests got other than a whole 200 or 429:"
                      f" {wrong[:5]}")
    served = sorted(r.seconds for r in replies if r.status == 200)
    refused = [r for r in replies if r.status == 429]
    expect(served and refused,
           f"{len(served)} served, {len(refused)} refused: expected some of both")
    waits = {r.headers.get("retry-after", "") for r in refused}
    expect(all(wait.isdigit() and int(wait) >= 1 for wait in waits),
           f"Retry-After {waits}, expected whole seconds")
    return (f"{len(served)} served, the slowest in {served[-1]:.2f} s; {len(refused)} refused, the"
            f" slowest in {max(r.seconds for r in refused):.2f} s, Retry-After {sorted(waits)}")


def slow_reader(test):
    """Clients that read a byte a second do not slow another stream, and are got rid of."""
    with tempfile.TemporaryDirectory() as folder:
        model = long_context(test.model, folder, 8192)
        with Server(test.binary, "--model", model, "--context", 8192, "--sessions", 4) as server:
            server.generate(generation("Once", 4))
            before = server.descriptors()
            seen = asyncio.run(read_slowly(server, before, 0.3 if test.quick else 2))
            stream = server.generate(generation("Once", 4))
    expect(len(stream["tokens"]) == 4, f"{seen}; then {stream}")
    return seen


async def read_slowly(server, descriptors, window):
    """What a stuck reader costs is there in each try; what other programs take may not be."""
    for _ in range(3):
        alone = await best_rate(server.port, window)
        reader = asyncio.create_task(byte_a_second(server.port))
        try:
            await until(server.port, lambda queued, running: running > 0, 1)
            start, longest = time.monotonic(), 0.0
            while (freed := await work(server.port)) != (0, 0) and time.monotonic() < start + 20:
                # As long as it gets tokens it has its share of the steps, and no more.
                longest = max(longest, (await rates(server.port, 0.2))[1])
            seen = f"longest gap {longest * 1000:.0f} ms while a slow reader's session was in use"
            expect(freed == (0, 0) and longest < 1, f"{seen}: (queued, running) {freed} after 20 s,"
                                                    " expected none, and no gap of 1 s")
            beside = await best_rate(server.port, window)
            seen += f"; {alone:.0f} tokens/s alone, {beside:.0f} ({beside / alone:.0%}) when stuck"
            if beside < 0.9 * alone:
                continue
            while server.descriptors() > descriptors and time.monotonic() < start + 30:
                await asyncio.sleep(0.05)
            seen += f"; its connection closed {time.monotonic() - start:.1f} s after it came"
            expect(server.descriptors() <= descriptors, f"{seen}, expected within 30 s")
            expect(not reader.done(), f"{seen}; the reader came to an end")
            return seen
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
    raise Failed(f"{seen}; expected 90% in one of 3 tries")


async def best_rate(port, window):
    return max([(await rates(port, window))[0] for _ in range(4)])


async def rates(port, seconds):
    """(tokens/s, longest time between two tokens) of a stream that is asked for again and again."""
    start, tokens, gap = time.monotonic(), 0, 0.0
    while time.monotonic() < start + seconds:
        reply = await request(port, "/generate", generation("Once", 200, stream=True))
        times = [reply.sent, *(at for at, _ in reply.events())]
        tokens += len(times) - 2
        gap = max(gap, *(b - a for a, b in zip(times, times[1:])))
    return tokens / (time.monotonic() - start), gap


async def byte_a_second(port):
    loop = asyncio.get_running_loop()
    # With 20 alternatives a token is over 1 kB: in all more than the kernel's buffers take.
    body = generation("Once", 8000, stream=True, logprobs=20)
    with await connect(port, receive_buffer=4096) as sock:
        await loop.sock_sendall(sock, message("/generate", body))
        while await loop.sock_recv(sock, 1):
            await asyncio.sleep(1)
