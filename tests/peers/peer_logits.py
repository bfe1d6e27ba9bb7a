"""llama.cpp's logits and its llama-quantize, for the comparisons here. engines.py says how to install
the peer; its headers are in libllama-dev, and g++ is needed here."""
import contextlib
import os
import shlex
import subprocess
import tempfile

from engines import build_against_peer


def run(command, codes=(0,)):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"{shlex.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


class Peer:
    """llama.cpp's programs, with a folder that they and we can see."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.prefix = ["chroot", root] if root else []
        self.logits = build_against_peer(root, "llama_logits.cc", f"{folder}/llama_logits")

    def inside(self, path):
        return "/" + os.path.relpath(path, self.root) if self.root else path

    def quantize(self, source, target, kind):
        run([*self.prefix, "llama-quantize", "--allow-requantize", "--pure", self.inside(source),
             self.inside(target), kind])

    def write_logits(self, model, tokens, window, threads, out):
        run([*self.prefix, self.inside(self.logits), self.inside(model), self.inside(tokens),
             str(window), str(threads), self.inside(out)])


@contextlib.contextmanager
def shared_folder(root):
    with tempfile.TemporaryDirectory(dir=f"{root}/tmp" if root else None) as folder:
        os.chmod(folder, 0o755)
        yield folder
