"""Reads a GGUF file: its metadata, and its tensors as float32.

The blocks are unpacked as ggml defines them, each operation in float32, so the weights are exactly
those that a program which computes in float32 would see."""
import mmap
import struct

import numpy as np

MAGIC = b"GGUF"
ALIGNMENT = 32
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}


def half(blocks, at):
    """The float16 at byte `at` of each block. [blocks, 1]"""
    return blocks[:, at:at + 2].copy().view(np.float16).astype(np.float32)


def nibbles(packed):
    """The low halves of the bytes, then the high ones. [blocks, 2 * bytes]"""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def fifth_bits(blocks, at):
    """Bit j of the 32-bit number at byte `at`, worth 16, for value j. [blocks, 32]"""
    bits = blocks[:, at:at + 4].copy().view("<u4")
    return ((bits >> np.arange(32, dtype=np.uint32)) & 1).astype(np.uint8) << 4


def q4_0(b):
    return half(b, 0) * (nibbles(b[:, 2:18]).astype(np.float32) - 8)


def q4_1(b):
    return half(b, 0) * nibbles(b[:, 4:20]).astype(np.float32) + half(b, 2)


def q5_0(b):
    return half(b, 0) * ((nibbles(b[:, 6:22]) | fifth_bits(b, 2)).astype(np.float32) - 16)


def q5_1(b):
    return half(b, 0) * (nibbles(b[:, 8:24]) | fifth_bits(b, 4)).astype(np.float32) + half(b, 2)


def q8_0(b):
    return half(b, 0) * b[:, 2:34].view(np.int8).astype(np.float32)


def scales_and_minima(b):
    """The 6-bit scales and minima of a Q4_K or Q5_K block, each times its factor. [blocks, 8]"""
    packed = b[:, 4:16]
    low, middle, high = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | (middle >> 6) << 4], axis=1)
    return half(b, 0) * scales.astype(np.float32), half(b, 2) * minima.astype(np.float32)


def scaled(b, values):
    """Values are in groups of 32, a scale and a minimum each."""
    scales, minima = scales_and_minima(b)
    groups = values.reshape(len(b), 8, 32).astype(np.float32)
    return (scales[:, :, None] * groups - minima[:, :, None]).reshape(len(b), 256)


def q4_k(b):
    chunks = b[:, 16:144].reshape(len(b), 4, 1, 32)  # a byte holds a value of two groups of 32
    return scaled(b, np.concatenate([chunks & 15, chunks >> 4], axis=2))


def q5_k(b):
    chunks = b[:, 48:176].reshape(len(b), 4, 1, 32)
    low = np.concatenate([chunks & 15, chunks >> 4], axis=2).reshape(len(b), 8, 32)
    bit = np.arange(8, dtype=np.uint8)[None, :, None]
    return scaled(b, low | ((b[:, 16:48].reshape(len(b), 1, 32) >> bit) & 1) << 4)


def q6_k(b):
    low = b[:, 0:128].reshape(len(b), 2, 2, 32)
    high = b[:, 128:192].reshape(len(b), 2, 1, 32)
    four = np.concatenate([low & 15, low >> 4], axis=2)  # [blocks, half, quarter, 32]
    two = (high >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3
    values = (four | two << 4).astype(np.float32).reshape(len(b), 16, 16) - 32
    scales = half(b, 208) * b[:, 192:208].view(np.int8).astype(np.float32)
    return (scales[:, :, None] * values).reshape(len(b), 256)


# Of each type: name, values of a block, bytes of a block, what unpacks [blocks, bytes] to
# [blocks, values].
TYPES = {
    0: ("F32", 1, 4, lambda b: b.view("<f4")),
    1: ("F16", 1, 2, lambda b: b.view("<f2").astype(np.float32)),
    2: ("Q4_0", 32, 18, q4_0),
    3: ("Q4_1", 32, 20, q4_1),
    6: ("Q5_0", 32, 22, q5_0),
    7: ("Q5_1", 32, 24, q5_1),
    8: ("Q8_0", 32, 34, q8_0),
    12: ("Q4_K", 256, 144, q4_k),
    13: ("Q5_K", 256, 176, q5_k),
    14: ("Q6_K", 256, 210, q6_k),
}


class Gguf:
    """The file stays mapped. `metadata` has every key, `shapes` and `types` every tensor's name."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.at = 0
        magic, version, tensors, pairs = self._take("<4sIQQ")
        if magic != MAGIC or version not in (2, 3):
            raise ValueError(f"{path}: not a GGUF file of version 2 or 3")
        self.metadata = {}
        for _ in range(pairs):
            key = self._string().decode()
            self.metadata[key] = self._value(*self._take("<I"))
        self.shapes, self.types, self._offsets = {}, {}, {}
        for _ in range(tensors):
            name = self._string().decode()
            (rank,) = self._take("<I")
            self.shapes[name] = self._take(f"<{rank}Q")[::-1]  # slowest dimension first
            self.types[name], self._offsets[name] = self._take("<IQ")
        step = self.metadata.get("general.alignment", ALIGNMENT)
        self._begin = -(-self.at // step) * step

    def _take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def _string(self):
        (length,) = self._take("<Q")
        self.at += length
        return self.data[self.at - length:self.at]

    def _value(self, kind):
        if kind == STRING:
            return self._string().decode(errors="surrogateescape")
        if kind != ARRAY:
            return self._take(SCALARS[kind])[0]
        element, count = self._take("<IQ")
        if element in (STRING, ARRAY):
            return [self._value(element) for _ in range(count)]
        return list(self._take(f"<{count}{SCALARS[element][1]}"))

    def of_architecture(self, key, default=None):
        """The value of "<architecture>.<key>"."""
        return self.metadata.get(f"{self.metadata['general.architecture']}.{key}", default)

    def type_names(self):
        return sorted({TYPES[kind][0] for kind in self.types.values()})

    def tensor(self, name):
        """float32 of the tensor's shape."""
        _, values, size, unpack = TYPES[self.types[name]]
        shape = self.shapes[name]
        blocks = int(np.prod(shape)) // values
        raw = np.frombuffer(self.data, np.uint8, blocks * size, self._begin + self._offsets[name])
        return np.ascontiguousarray(unpack(raw.reshape(blocks, size))).reshape(shape)
