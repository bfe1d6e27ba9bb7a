"""Model files made of the embedded one, for what it is too small for itself."""
import io
import math
import struct
from random import Random

STRING, ARRAY = 8, 9
SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
Q8_0_BLOCK, Q8_0_BYTES = 32, 34
ALIGNMENT = 32
F32 = 0
# The tensors that a layer gives out by, and the sizes of the layers with states.
OUTPUTS = ("attn_output.weight", "ffn_down.weight")
WIDTH, TAPS, STATE, STATE_HEADS = 256, 4, 16, 8
HEADS, HEAD = 8, 32


def long_context(source, folder, context):
    """A copy that allows more tokens than it was trained for: its name."""
    with open(source, "rb") as file:
        data = bytearray(file.read())
    key = b"llama.context_length" + struct.pack("<I", 4)  # a uint32 follows
    at = data.index(key) + len(key)
    data[at:at + 4] = struct.pack("<I", context)
    with open(f"{folder}/long.gguf", "wb") as file:
        file.write(data)
    return file.name


def wide_vocabulary(source, folder, tokens):
    """A copy with so many tokens, as the largest vocabularies have: its name. The new ones are plain
    text, and their embeddings are zero."""
    with open(source, "rb") as file:
        magic, keys, tensors = read(file)
    before = len(keys["tokenizer.ggml.tokens"][1])
    added = range(before, tokens)
    for name, values in (("tokens", [text(f"word{i}") for i in added]),
                         ("scores", [struct.pack("<f", -1e6)] * len(added)),
                         ("token_type", [struct.pack("<i", 1)] * len(added))):
        keys[f"tokenizer.ggml.{name}"][1].extend(values)
    keys["llama.vocab_size"] = (4, struct.pack("<I", tokens))
    shape, kind, data = tensors["token_embd.weight"]
    row = shape[0] // Q8_0_BLOCK * Q8_0_BYTES
    tensors["token_embd.weight"] = ([shape[0], tokens], kind, data + bytes(row * len(added)))
    with open(f"{folder}/wide.gguf", "wb") as file:
        write(file, magic, keys, tensors)
    return file.name


def with_layers(source, folder, name, kept, idle=0):
    """A copy of the first `kept` layers and of so many behind them that change nothing, since what
    they give out is zero, and that take their time all the same: its name. Where all are kept the
    logits are those of the source."""
    with open(source, "rb") as file:
        magic, keys, tensors = read(file)
    layers = {number: layer for number, layer in layers_of(tensors).items() if number < kept}
    for number in range(kept, kept + idle):
        layers[number] = {part: silent(tensor) if part in OUTPUTS else tensor
                          for part, tensor in layers[number % kept].items()}
    keys["llama.block_count"] = (4, struct.pack("<I", len(layers)))
    with open(f"{folder}/{name}.gguf", "wb") as file:
        write(file, magic, keys, with_numbers(tensors, layers))
    return file.name


def hybrid(source, folder, name):
    """A copy with a Mamba-2 layer of small random weights behind every second of its layers: its
    name. What it says is much like what the source says."""
    with open(source, "rb") as file:
        magic, keys, tensors = read(file)
    keys = {key.replace("llama.", "granitehybrid."): value for key, value in keys.items()}
    layers, heads = {}, []
    random = Random(1)
    for layer in layers_of(tensors).values():
        layers[len(layers)] = layer
        heads.append(4)
        if len(layers) % 3 == 2:
            layers[len(layers)] = mamba_layer(random, layer)
            heads.append(0)
    keys["general.architecture"] = (STRING, text("granitehybrid"))
    keys["granitehybrid.block_count"] = (4, struct.pack("<I", len(layers)))
    keys["granitehybrid.attention.head_count_kv"] = (5, [struct.pack("<i", n) for n in heads])
    for key, value in (("conv_kernel", TAPS), ("state_size", STATE), ("group_count", 1),
                       ("time_step_rank", STATE_HEADS), ("inner_size", WIDTH)):
        keys[f"granitehybrid.ssm.{key}"] = (4, struct.pack("<I", value))
    with open(f"{folder}/{name}.gguf", "wb") as file:
        write(file, magic, keys, with_numbers(tensors, layers))
    return file.name


def guesses_ahead(source, folder, idle, block=True):
    """A model of architecture qwen35: the first layer of the source, three with states of small
    random weights, and so many that change nothing; and behind them a block that guesses ahead, if
    it is to have one, which is the first layer once more, of the embedding alone. It says much the
    same of the next token as the model of the token: its name."""
    with open(source, "rb") as file:
        magic, keys, tensors = read(file)
    keys = {key.replace("llama.", "qwen35."): value for key, value in keys.items()}
    random = Random(1)
    first = gated_layer(random, layers_of(tensors)[0])
    quiet = {part: silent(tensor) if part in OUTPUTS else tensor for part, tensor in first.items()}
    delta = [delta_layer(random, quiet) for _ in range(3)]
    layers = [first, *delta, *[quiet] * idle]
    flags = [0, 1, 1, 1] + [0] * idle
    if block:
        shape, _, data = tensors["token_embd.weight"]
        size = root_mean_square(data)
        one = [struct.pack("<f", 1.0 if x == y else 0.0)
               for y in range(WIDTH) for x in range(2 * WIDTH)]
        layers.append(first | {
            "nextn.eh_proj.weight": ([2 * WIDTH, WIDTH], F32, b"".join(one)),
            "nextn.enorm.weight": floats(random, [WIDTH], size, size),
            "nextn.hnorm.weight": floats(random, [WIDTH], 1, 1)})
        flags.append(0)
        keys["qwen35.nextn_predict_layers"] = (4, struct.pack("<I", 1))
    keys["general.architecture"] = (STRING, text("qwen35"))
    keys["qwen35.attention.recurrent_layers"] = (7, [bytes([flag]) for flag in flags])
    keys["qwen35.rope.dimension_sections"] = (5, [struct.pack("<i", n) for n in (6, 5, 5, 0)])
    for key, value in (("block_count", len(layers)), ("attention.key_length", HEAD),
                       ("attention.value_length", HEAD), ("ssm.conv_kernel", TAPS),
                       ("ssm.state_size", STATE), ("ssm.group_count", 1),
                       ("ssm.time_step_rank", 2), ("ssm.inner_size", 2 * STATE)):
        keys[f"qwen35.{key}"] = (4, struct.pack("<I", value))
    with open(f"{folder}/ahead{'' if block else '-not'}.gguf", "wb") as file:
        write(file, magic, keys, with_numbers(tensors, dict(enumerate(layers))))
    return file.name


def gated_layer(random, layer):
    """With a gate of one half, in rows of zeros behind the query's of each head, and norms."""
    layer = dict(layer)
    layer["post_attention_norm.weight"] = layer.pop("ffn_norm.weight")
    _, kind, data = layer["attn_q.weight"]
    size = len(data) // HEADS
    rows = b"".join(data[at:at + size] + bytes(size) for at in range(0, len(data), size))
    layer["attn_q.weight"] = ([WIDTH, 2 * WIDTH], kind, rows)
    return layer | {f"attn_{part}_norm.weight": floats(random, [HEAD], 0.8, 1.2) for part in "qk"}


def delta_layer(random, layer):
    kept = {part: tensor for part, tensor in layer.items()
            if part.startswith("ffn") or part.endswith("_norm.weight") and "_q_" not in part
            and "_k_" not in part}
    inner, channels = 2 * STATE, 4 * STATE
    return kept | {
        "attn_qkv.weight": floats(random, [WIDTH, channels], -0.1, 0.1),
        "attn_gate.weight": floats(random, [WIDTH, inner], -0.1, 0.1),
        "ssm_alpha.weight": floats(random, [WIDTH, 2], -0.1, 0.1),
        "ssm_beta.weight": floats(random, [WIDTH, 2], -0.1, 0.1),
        "ssm_conv1d.weight": floats(random, [TAPS, channels], -0.5, 0.5),
        "ssm_dt.bias": floats(random, [2], -1, 1),
        "ssm_a": floats(random, [2], -0.5, -0.01),
        "ssm_norm.weight": floats(random, [STATE], 0.5, 1.5),
        "ssm_out.weight": floats(random, [inner, WIDTH], -0.01, 0.01)}


def root_mean_square(data):
    """Of the values of Q8_0 blocks."""
    blocks = list(struct.iter_unpack(f"<e{Q8_0_BLOCK}b", data))
    squares = sum(scale * scale * sum(q * q for q in codes) for scale, *codes in blocks)
    return math.sqrt(squares / (len(blocks) * Q8_0_BLOCK))


def floats(random, shape, low, high):
    values = [random.uniform(low, high) for _ in range(math.prod(shape))]
    return (shape, F32, struct.pack(f"<{len(values)}f", *values))


def mamba_layer(random, layer):
    channels = WIDTH + 2 * STATE
    kept = {part: silent(tensor) if part in OUTPUTS else tensor
            for part, tensor in layer.items() if part.startswith("ffn") or part == "attn_norm.weight"}
    return kept | {
        "ssm_in.weight": floats(random, [WIDTH, WIDTH + channels + STATE_HEADS], -0.05, 0.05),
        "ssm_conv1d.weight": floats(random, [TAPS, channels], -0.5, 0.5),
        "ssm_conv1d.bias": floats(random, [channels], -0.1, 0.1),
        "ssm_dt.bias": floats(random, [STATE_HEADS], -1, 1),
        "ssm_a": floats(random, [1, STATE_HEADS], -0.5, -0.01),
        "ssm_d": floats(random, [1, STATE_HEADS], 0.5, 1.5),
        "ssm_norm.weight": floats(random, [WIDTH, 1], 0.5, 1.5),
        "ssm_out.weight": floats(random, [WIDTH, WIDTH], -0.01, 0.01)}


def layers_of(tensors):
    """{number: {name behind the number: tensor}}"""
    layers = {}
    for name, tensor in tensors.items():
        if name.startswith("blk."):
            _, number, part = name.split(".", 2)
            layers.setdefault(int(number), {})[part] = tensor
    return layers


def with_numbers(tensors, layers):
    """Those that are of no layer, and those of the layers."""
    return ({name: tensor for name, tensor in tensors.items() if not name.startswith("blk.")}
            | {f"blk.{number}.{part}": tensor for number, layer in layers.items()
               for part, tensor in layer.items()})


def silent(tensor):
    shape, kind, data = tensor
    return shape, kind, bytes(len(data))


def text(string):
    return struct.pack("<Q", len(string.encode())) + string.encode()


def read(file):
    """(magic and version, {key: (type, value's bytes) or (element's type, [bytes, ...])}, {tensor:
    (shape, type, bytes)})"""
    def number(form):
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]

    def string():
        return file.read(number("<Q"))

    def value(kind):
        return text(string().decode()) if kind == STRING else file.read(SCALARS[kind])

    magic = file.read(8)
    tensor_count, key_count = number("<Q"), number("<Q")
    keys, infos = {}, []
    for _ in range(key_count):
        name, kind = string().decode(), number("<I")
        if kind == ARRAY:
            kind = number("<I")
            keys[name] = (kind, [value(kind) for _ in range(number("<Q"))])
        else:
            keys[name] = (kind, value(kind))
    for _ in range(tensor_count):
        name = string().decode()
        shape = [number("<Q") for _ in range(number("<I"))]
        infos.append((name, shape, number("<I"), number("<Q")))
    begin = -(-file.tell() // ALIGNMENT) * ALIGNMENT
    file.seek(begin)
    data = file.read()
    ends = sorted(offset for _, _, _, offset in infos) + [len(data)]
    tensors = {name: (shape, kind, data[offset:ends[ends.index(offset) + 1]])
               for name, shape, kind, offset in infos}
    return magic, keys, tensors


def write(file, magic, keys, tensors):
    head, data = io.BytesIO(), io.BytesIO()
    head.write(magic + struct.pack("<QQ", len(tensors), len(keys)))
    for name, (kind, value) in keys.items():
        head.write(text(name))
        if isinstance(value, list):
            head.write(struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(value))
        else:
            head.write(struct.pack("<I", kind) + value)
    for name, (shape, kind, content) in tensors.items():
        head.write(text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
                   + struct.pack("<IQ", kind, data.tell()))
        data.write(content + bytes(-len(content) % ALIGNMENT))
    head.write(bytes(-head.tell() % ALIGNMENT))
    file.write(head.getvalue())
    file.write(data.getvalue())
