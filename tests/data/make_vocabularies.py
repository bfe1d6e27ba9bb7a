#!/usr/bin/env python3
"""Train the two small vocabularies that the tokenizer's tests use everywhere.

usage: make_vocabularies.py TALES.txt.xz    writes tales-spm.gguf and tales-bpe.gguf beside itself
       make_vocabularies.py --peer URL NAME writes NAME.out: the ids that a running llama-server,
                                            with a model of vocabulary NAME, gives for texts.inp
The committed .out files are llama.cpp 0.7.0's. texts.inp and .out have its format: texts between
lines of __ggml_vocab_test__, and a line of ids for each.
needs: python3-sentencepiece (Debian); TALES are books in the public domain
"""
import collections
import io
import json
import lzma
import pathlib
import re
import struct
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def packed(kind, value):
    if kind == STRING:
        data = value.encode()
        return struct.pack("<Q", len(data)) + data
    if kind == ARRAY:
        element, values = value
        head = struct.pack("<IQ", element, len(values))
        return head + b"".join(packed(element, v) for v in values)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def write_gguf(name, pairs):
    out = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs))
    for key, kind, value in pairs:
        out += packed(STRING, key) + struct.pack("<I", kind) + packed(kind, value)
    (HERE / name).write_bytes(out)


def train_spm(text, size):
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()), model_writer=model, vocab_size=size,
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, user_defined_symbols=["[GAP]"], minloglevel=2)
    spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    tokens, scores, types = [], [], []
    for i in range(spm.get_piece_size()):
        tokens.append(spm.id_to_piece(i))
        scores.append(spm.get_score(i))
        types.append(UNKNOWN if spm.is_unknown(i) else CONTROL if spm.is_control(i) else
                     BYTE if spm.is_byte(i) else
                     USER_DEFINED if tokens[-1] == "[GAP]" else NORMAL)
    write_gguf("tales-spm.gguf", [
        ("general.architecture", STRING, "llama"),
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.scores", ARRAY, (F32, scores)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.bos_token_id", U32, spm.bos_id()),
        ("tokenizer.ggml.eos_token_id", U32, spm.eos_id()),
        ("tokenizer.ggml.unknown_token_id", U32, spm.unk_id()),
        ("tokenizer.ggml.add_bos_token", BOOL, True)])


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    names = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [names[b] for b in range(256)]


def train_bpe(text, merges_wanted):
    alphabet = byte_alphabet()
    # Close enough to GPT-2's pattern to learn merges from; encoding uses the pattern itself.
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+(?!\S)|\s+"
    counts = collections.Counter(re.findall(pattern, text))
    words = [([alphabet[b] for b in word.encode()], n) for word, n in counts.items()]
    tokens, merges = list(alphabet), []
    while len(merges) < merges_wanted:
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(" ".join(best))
        if "".join(best) not in tokens:
            tokens.append("".join(best))
        for symbols, _ in words:
            for i in range(len(symbols) - 2, -1, -1):
                if tuple(symbols[i:i + 2]) == best:
                    symbols[i:i + 2] = ["".join(best)]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "[GAP]"]
    types = [NORMAL] * len(tokens) + [CONTROL] * 3 + [USER_DEFINED]
    end = len(tokens)
    write_gguf("tales-bpe.gguf", [
        ("general.architecture", STRING, "llama"),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens + special)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, merges)),
        ("tokenizer.ggml.bos_token_id", U32, end),
        ("tokenizer.ggml.eos_token_id", U32, end)])


def ask_peer(url, name):
    lines = []
    texts = (HERE / "texts.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    for text in texts[:-1]:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False})
        request = urllib.request.Request(url + "/tokenize", body.encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            lines.append("".join(f" {i}" for i in json.load(reply)["tokens"]) + "\n")
    (HERE / f"{name}.out").write_text("".join(lines))


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--peer":
        ask_peer(*sys.argv[2:])
    elif len(sys.argv) == 2:
        text = lzma.open(sys.argv[1], "rt", encoding="utf-8").read(1_000_000)
        train_spm(text, 1024)
        train_bpe(text, 500)
    else:
        sys.exit(__doc__)


main()
