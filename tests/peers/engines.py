"""Starts lockstep and llama.cpp on the same file, for the comparisons here and in tests/bench.

llama.cpp 0.7.0 is in Debian sid. On Debian 12 it lives in a folder of its own:

    debootstrap --variant=minbase sid /opt/sid http://deb.debian.org/debian
    chroot /opt/sid apt-get install -y llama.cpp llama.cpp-tools

and the comparisons find it with --peer-root /opt/sid (which needs root). Without that option they
take llama-server, llama-bench and llama-batched-bench from the PATH.
"""
import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help="the GGUF file that both engines load")
    parser.add_argument("--lockstep", default=f"{ROOT}/build/release/lockstep", help="our binary")
    parser.add_argument("--peer-root", default="", help="folder that llama.cpp is installed in")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser


@contextlib.contextmanager
def peer(options):
    """Gives (prefix, model): what comes before the peer's program, and the model's name for it."""
    if not options.peer_root:
        yield [], options.model
        return
    with tempfile.TemporaryDirectory(dir=f"{options.peer_root}/tmp") as folder:
        copy = shutil.copy(options.model, f"{folder}/model.gguf")
        yield ["chroot", options.peer_root], "/" + os.path.relpath(copy, options.peer_root)


def build_against_peer(root, source, program):
    """Builds tests/peers/`source` with the peer's library. The library may want a newer libc than
    there is here: the program, which must lie in the peer's root, runs there."""
    libraries = subprocess.run(["g++", "-print-multiarch"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.strip()
    subprocess.run(["g++", "-O2", "-std=c++17", f"-idirafter{root}/usr/include",
                    f"{ROOT}/tests/peers/{source}", f"-L{root}/usr/lib/{libraries}",
                    "-l:libllama.so.0", "-l:libggml.so.0", "-Wl,--allow-shlib-undefined", "-o",
                    program], check=True)
    return program


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {error.code} {error.read().decode(errors='replace')}")


@contextlib.contextmanager
def serving(command, ready):
    """Runs a server on a free port of the loopback interface; gives its URL once `ready` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)],
                                   stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 300
            while not answers(url + ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"{' '.join(command)} does not serve:\n{log.read()[-3000:]}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
