"""What README.md says a stranger can type: it works as it stands there."""
import ast
import json
import os
import re
import subprocess

from server import Server, expect

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Of caddy and of ctest.
OTHERS = {"--from", "--to", "--test-dir"}


def readme(test):
    """Its curl commands are answered, its Python can be read, and its flags are in --help."""
    with open(f"{ROOT}/README.md") as file:
        text = file.read()
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    commands = [block for block in blocks if block.lstrip().startswith("curl ")]
    programs = [block for block in blocks if block.lstrip().startswith("from openai ")]
    expect(len(commands) >= 2 and programs, f"{len(commands)} commands of curl and {len(programs)}"
                                            " programs in README.md, expected 2 and 1")
    for program in programs:
        ast.parse(re.sub("^    ", "", program, flags=re.MULTILINE))
    with Server(test.binary) as server:
        for command in commands:
            answer = subprocess.run(command.replace("localhost:8080", f"localhost:{server.port}"),
                                    shell=True, capture_output=True, text=True, timeout=60).stdout
            last = json.loads(answer.strip().splitlines()[-1] if answer.strip() else "{}")
            expect("usage" in last, f"{command}: {answer[:300]!r}, expected an answer")
    helps = "".join(subprocess.run([test.binary, *words, "--help"], capture_output=True, text=True,
                                   timeout=60).stdout
                    for words in ([], ["serve"], ["chat"], ["bench"], ["inspect"]))
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - OTHERS
    unknown = {flag for flag in flags if flag not in helps}
    expect(not unknown, f"README.md names {sorted(unknown)}, which no --help has")
    return f"{len(commands)} commands, {len(flags)} flags"
