"""Rewrites the metadata of a GGUF file without tensors."""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # by type


def string(text):
    return struct.pack("<Q", len(text)) + text


def value_end(data, kind, at):
    if kind == 8:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind != 9:
        return at + SIZES[kind]
    element, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if element != 8:
        return at + count * SIZES[element]
    for _ in range(count):
        at = value_end(data, 8, at)
    return at


def with_pre_tokenizer(data, name):
    """The file's metadata, with another tokenizer.ggml.pre."""
    at, pairs = 24, []
    for _ in range(struct.unpack_from("<Q", data, 16)[0]):
        begin, length = at, struct.unpack_from("<Q", data, at)[0]
        key = data[at + 8:at + 8 + length]
        kind = struct.unpack_from("<I", data, at + 8 + length)[0]
        at = value_end(data, kind, at + 12 + length)
        if key != b"tokenizer.ggml.pre":
            pairs.append(data[begin:at])
    pairs.append(string(b"tokenizer.ggml.pre") + struct.pack("<I", 8) + string(name.encode()))
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs)) + b"".join(pairs)
