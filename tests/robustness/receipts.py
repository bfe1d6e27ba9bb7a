"""Answers of one instruction set, checked by the others: every receipt holds, no flipped token."""
import concurrent.futures
import json
import re
import subprocess
import tempfile
import time
import urllib.request

from server import Server, expect

WORDS = ("king", "queen", "fox", "miller", "giant", "tailor", "wolf", "goose")
# Of an answer's tokens.
FLIPPED = 5


def cases(number):
    """(route, body) of requests in several dialects, greedy and drawn, with and without a seed."""
    for i in range(number):
        prompt = f"Once upon a time there was a {WORDS[i % 8]} who had {i} sons"
        kinds = [("/generate", {"prompt": prompt, "max_tokens": 8 + i % 9}),
                 ("/generate", {"prompt": prompt, "max_tokens": 12, "temperature": 0, "logprobs": 1}),
                 ("/v1/completions", {"prompt": prompt, "max_tokens": 12, "seed": i}),
                 ("/completion", {"prompt": prompt, "n_predict": 12, "stop": ["."]}),
                 ("/generate", {"inputs": prompt, "parameters": {"details": True, "seed": i,
                                                                 "max_new_tokens": 12}})]
        yield kinds[i % len(kinds)]


def posted(server, route, body):
    """(answer, receipt or None)."""
    request = urllib.request.Request(server.url + route, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as reply:
        return json.load(reply), json.loads(reply.headers.get("x-lockstep-receipt", "null"))


def answered(server, route, body):
    """What `lockstep verify` reads of one answer."""
    answer, receipt = posted(server, route, body)
    return {"route": route, "request": body, "answer": answer, "receipt": receipt}


def instruction_sets(command):
    """Those of this build that run on its processor."""
    said = subprocess.run([*command, "--help"], text=True, capture_output=True, timeout=60).stdout
    names = re.search(r"instruction set: auto, or ([^;]+);", " ".join(said.split()))[1]
    for name in re.split(", | or ", names):
        tried = subprocess.run([*command, "perplexity", "--isa", name, "--file", "/dev/null"],
                               text=True, capture_output=True, timeout=60)
        if "has no such kernels" not in tried.stderr:
            yield name


def verify(command, answers, *flags):
    """(exit code, lines of stdout)."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(answer) + "\n" for answer in answers))
        file.flush()
        done = subprocess.run([*command, "verify", file.name, *map(str, flags)], text=True,
                              capture_output=True, timeout=3600)
    expect(done.returncode in (0, 1), f"verify: exit code {done.returncode}, {done.stderr[-500:]}")
    return done.returncode, done.stdout.splitlines()


def all_verified(command, answers, *flags):
    code, lines = verify(command, answers, *flags)
    wrong = [line for line in lines if ": verified, " not in line]
    expect(code == 0 and not wrong and len(lines) == len(answers),
           f"{flags}: exit code {code}, {len(lines)} lines, of which {wrong[:3]} were not verified")


def posts_verified(command, answers, *flags):
    """By a server, many at once."""
    with Server(*command, *flags, seconds=60) as server, \
            concurrent.futures.ThreadPoolExecutor(8) as pool:
        for verdict, _ in pool.map(lambda answer: posted(server, "/verify", answer), answers):
            expect(verdict["verified"], f"{flags}: POST /verify: {verdict}")


def receipts(test):
    """Made at the best instruction set, under load; verified on one thread by plain code, or, where
    there is time, by all instruction sets of this machine and of an emulated one."""
    number = 40 if test.quick else 200
    native = [test.binary]
    with Server(*native) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda case: answered(server, *case), cases(number)))
    seen = []
    for command in filter(None, (native, test.emulated)):
        for isa in ("scalar",) if test.quick else instruction_sets(command):
            flags = ("--isa", isa, "--threads", 1)
            start = time.monotonic()
            all_verified(command, answers, *flags)
            if command is native:
                posts_verified(command, answers, *flags)
            seen.append(f"{isa}{'' if command is native else ' emulated'} in"
                        f" {time.monotonic() - start:.0f} s")
    tokens = answers[0]["answer"]["tokens"]
    tokens[FLIPPED] = tokens[FLIPPED] % 1000 + 7
    code, lines = verify(native, answers[:2], "--isa", "scalar", "--threads", 1)
    expect(code == 1 and f"differs: token {FLIPPED} is {tokens[FLIPPED]} " in lines[0]
           and ": verified, " in lines[1], f"exit code {code}, {lines}, of one flipped token")
    return (f"{number} answers verified by each of {', '.join(seen)};"
            f" a flipped token named: {lines[0].split(': ', 1)[1]}")
