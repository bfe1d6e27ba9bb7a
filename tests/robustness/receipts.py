"""Answers of one instruction set, checked by another one: every receipt holds, no flipped token."""
import concurrent.futures
import json
import subprocess
import tempfile
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


def answered(server, route, body):
    """What `lockstep verify` reads of one answer."""
    request = urllib.request.Request(server.url + route, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return {"route": route, "request": body, "answer": json.load(reply),
                "receipt": json.loads(reply.headers["x-lockstep-receipt"])}


def verify(test, answers, *flags):
    """(exit code, lines of stdout)."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(answer) + "\n" for answer in answers))
        file.flush()
        done = subprocess.run([test.binary, "verify", file.name, *map(str, flags)], text=True,
                              capture_output=True, timeout=900)
    expect(done.returncode in (0, 1), f"verify: exit code {done.returncode}, {done.stderr[-500:]}")
    return done.returncode, done.stdout.splitlines()


def receipts(test):
    """Made at the best instruction set, under load; verified by plain code on one thread."""
    number = 40 if test.quick else 200
    with Server(test.binary) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda case: answered(server, *case), cases(number)))
    plain = ("--isa", "scalar", "--threads", 1)
    code, lines = verify(test, answers, *plain)
    wrong = [line for line in lines if ": verified, " not in line]
    expect(code == 0 and not wrong and len(lines) == number,
           f"exit code {code}, {len(lines)} lines, of which {wrong[:3]} were not verified")
    tokens = answers[0]["answer"]["tokens"]
    tokens[FLIPPED] = tokens[FLIPPED] % 1000 + 7
    code, lines = verify(test, answers[:2], *plain)
    expect(code == 1 and f"differs: token {FLIPPED} is {tokens[FLIPPED]} " in lines[0]
           and ": verified, " in lines[1], f"exit code {code}, {lines}, of one flipped token")
    return f"{number} answers verified by plain code, a flipped token named: {lines[0].split(': ', 1)[1]}"
