"""Model files made of the embedded one, for what it is too small for itself."""
import io
import struct

STRING, ARRAY = 8, 9
SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
Q8_0_BLOCK, Q8_0_BYTES = 32, 34
ALIGNMENT = 32


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
