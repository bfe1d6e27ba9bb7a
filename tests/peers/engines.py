"""Starts lockstep and llama.cpp on the same file, for the comparisons here and in tests/bench.

llama.cpp 0.7.0 is in Debian sid. On Debian 12 it lives in a folder of its own:

    debootstrap --variant=minbase sid /opt/sid http://deb.debian.org/debian
    chroot /opt/sid apt-get install -y llama.cpp llama.cpp-tools llama.cpp-tools-extra

and the comparisons find it with --peer-root /opt/sid (which needs root). Without that option they
take llama-server, llama-bench and llama-batched-bench from the PATH.
"""
import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(f"{ROOT}/tests/support")
from launch import DoesNotStart, Process  # noqa: E402


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
    try:
        server = Process([*command, "--host", "127.0.0.1"], ready, seconds=300)
    except DoesNotStart as failure:
        raise SystemExit(f"{shlex.join(map(str, command))}: {failure}")
    with server:
        yield server.url
        server.terminate()
        server.exit_code(30)


def machine():
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} CPUs, " \
           f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"
