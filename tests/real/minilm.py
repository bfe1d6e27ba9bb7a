"""all-MiniLM-L6-v2, a model of sentences, as GGUF and as numpy: what its makers publish as safetensors
becomes a file of any of three types, and is evaluated in float64 as BERT's paper has it."""
import json
import pathlib
import struct
import zipfile

import numpy as np

TYPES = {"F32": 0, "F16": 1, "Q8_0": 8}
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
ALIGNMENT = 32
CONTROL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HEADS = 12
EPSILON = 1e-12


class Published:
    """The files that the wheel holds."""

    def __init__(self, wheel):
        with zipfile.ZipFile(wheel) as files:
            paths = map(pathlib.PurePosixPath, files.namelist())
            names = {path.name: str(path) for path in paths if path.parent.name == "model"}
            self.config = json.loads(files.read(names["config.json"]))
            self.vocabulary = files.read(names["vocab.txt"]).decode().rstrip("\n").split("\n")
            self.tokenizer = files.read(names["tokenizer.json"]).decode()
            data = files.read(names["model.safetensors"])
        (length,) = struct.unpack_from("<Q", data)
        self.tensors = {}
        for name, told in json.loads(data[8:8 + length]).items():
            if name == "__metadata__" or told["dtype"] != "F32":
                continue
            begin, end = told["data_offsets"]
            values = np.frombuffer(data, "<f4", (end - begin) // 4, 8 + length + begin)
            self.tensors[name] = values.reshape(told["shape"])


def gguf_names(layers):
    """GGUF's name of each tensor, and the published one."""
    names = {"token_embd.weight": "embeddings.word_embeddings.weight",
             "position_embd.weight": "embeddings.position_embeddings.weight",
             "token_types.weight": "embeddings.token_type_embeddings.weight"}
    pairs = [("token_embd_norm", "embeddings.LayerNorm")]
    for i in range(layers):
        pairs += [(f"blk.{i}.{ours}", f"encoder.layer.{i}.{theirs}") for ours, theirs in (
            ("attn_q", "attention.self.query"), ("attn_k", "attention.self.key"),
            ("attn_v", "attention.self.value"), ("attn_output", "attention.output.dense"),
            ("attn_output_norm", "attention.output.LayerNorm"),
            ("ffn_up", "intermediate.dense"), ("ffn_down", "output.dense"),
            ("layer_output_norm", "output.LayerNorm"))]
    for ours, theirs in pairs:
        for end in (".weight", ".bias"):
            names[ours + end] = theirs + end
    return names


def q8_0(values):
    """Of 32 values one float16, the largest / 127, and as many bytes."""
    blocks = values.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1) / np.float32(127)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    steps = blocks * inverse[:, None]
    codes = (np.sign(steps) * np.floor(np.abs(steps) + 0.5)).astype(np.int8)
    return np.concatenate([scale.astype("<f2").view(np.uint8).reshape(-1, 2), codes.view(np.uint8)],
                          axis=1).tobytes()


def after_q8_0(values):
    """What a file of Q8_0 holds instead of these."""
    raw = np.frombuffer(q8_0(values), np.uint8).reshape(-1, 34)
    scale = np.ascontiguousarray(raw[:, :2]).view("<f2").astype(np.float32)
    codes = np.ascontiguousarray(raw[:, 2:]).view(np.int8)
    return (scale * codes).reshape(values.shape)


def stays_f32(name, values):
    """Vectors, and the tables of positions and types, are float32 in files of all types."""
    return values.ndim == 1 or name.startswith(("position_embd", "token_types"))


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key, value):
    """A key with its value, as GGUF writes both."""
    if isinstance(value, bool):
        kind, raw = BOOL, struct.pack("<?", value)
    elif isinstance(value, int):
        kind, raw = U32, struct.pack("<I", value)
    elif isinstance(value, float):
        kind, raw = F32, struct.pack("<f", value)
    elif isinstance(value, str):
        kind, raw = STRING, text(value)
    elif isinstance(value[0], str):
        kind = ARRAY
        raw = struct.pack("<IQ", STRING, len(value)) + b"".join(map(text, value))
    else:
        kind, raw = ARRAY, struct.pack("<IQ", I32, len(value)) + np.asarray(value, "<i4").tobytes()
    return text(key) + struct.pack("<I", kind) + raw


def metadata(published):
    config, vocabulary = published.config, published.vocabulary
    tokens = [word if word in CONTROL else word[2:] if word.startswith("##") else "\u2581" + word
              for word in vocabulary]
    ids = {"bos": "[CLS]", "cls": "[CLS]", "eos": "[SEP]", "seperator": "[SEP]",
           "unknown": "[UNK]", "padding": "[PAD]", "mask": "[MASK]"}
    return {
        "general.architecture": "bert", "general.name": "all-MiniLM-L6-v2",
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.block_count": config["num_hidden_layers"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.attention.head_count": config["num_attention_heads"],
        "bert.attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "bert.attention.causal": False, "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.pre": "bert-bge",
        "tokenizer.ggml.token_type_count": config["type_vocab_size"],
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if word in CONTROL else 1 for word in vocabulary],
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True,
        **{f"tokenizer.ggml.{role}_token_id": vocabulary.index(word) for role, word in ids.items()},
    }


def convert(published, kind, path):
    """Writes the file."""
    keys = metadata(published)
    head = b"".join(pair(key, value) for key, value in keys.items())
    table, data = b"", []
    at = 0
    names = gguf_names(published.config["num_hidden_layers"])
    for ours, theirs in names.items():
        values = published.tensors[theirs]
        own = "F32" if stays_f32(ours, values) else kind
        raw = (q8_0(values) if own == "Q8_0" else
               values.astype("<f2" if own == "F16" else "<f4").tobytes())
        shape = values.shape[::-1]
        table += text(ours) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, TYPES[own], at)
        data.append(raw + bytes(-len(raw) % ALIGNMENT))
        at += len(data[-1])
    front = struct.pack("<4sIQQ", b"GGUF", 3, len(names), len(keys)) + head + table
    with open(path, "wb") as file:
        file.write(front + bytes(-len(front) % ALIGNMENT))
        file.writelines(data)


def erf(x):
    """To 1.2e-16 of its definition where the model needs it: by its series, and beyond 3 by the
    continued fraction of 1 - erf."""
    size = np.abs(x)
    series, term = np.zeros_like(x), np.minimum(size, 3.0)
    small = np.minimum(size, 3.0)
    for n in range(60):
        series += term / (2 * n + 1)
        term = -term * small * small / (n + 1)
    large = np.maximum(size, 3.0)
    fraction = np.zeros_like(x)
    for n in range(60, 0, -1):
        fraction = n / 2 / (large + fraction)
    beyond = 1 - np.exp(-large * large) / np.sqrt(np.pi) / (large + fraction)
    return np.sign(x) * np.where(size < 3, 2 / np.sqrt(np.pi) * series, beyond)


class Reference:
    """Vectors of length 1, in float64 throughout, of matrices as they are `after` a type."""

    def __init__(self, published, after=lambda values: values):
        self.layers = published.config["num_hidden_layers"]
        self.tensors = {}
        for ours, theirs in gguf_names(self.layers).items():
            values = published.tensors[theirs]
            kept = values if stays_f32(ours, values) else after(values)
            self.tensors[ours] = kept.astype(np.float64)

    def times(self, name, x):
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, name, x):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
        return x * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def vector(self, ids):
        n = len(ids)
        x = (self.tensors["token_embd.weight"][ids] + self.tensors["position_embd.weight"][:n]
             + self.tensors["token_types.weight"][0])
        x = self.norm("token_embd_norm", x)
        for i in range(self.layers):
            at = f"blk.{i}."
            q, k, v = (self.times(f"{at}attn_{c}", x).reshape(n, HEADS, -1).transpose(1, 0, 2)
                       for c in "qkv")
            scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            attended = (weights @ v).transpose(1, 0, 2).reshape(n, -1)
            x = self.norm(at + "attn_output_norm", x + self.times(at + "attn_output", attended))
            up = self.times(at + "ffn_up", x)
            up = 0.5 * up * (1 + erf(up / np.sqrt(2)))
            x = self.norm(at + "layer_output_norm", x + self.times(at + "ffn_down", up))
        pooled = x.mean(axis=0)
        return pooled / np.linalg.norm(pooled)
