#!/usr/bin/env python3
"""Train the small vocabularies that the tokenizer's tests use everywhere.

usage: make_vocabularies.py TALES.txt.xz    writes tales-spm.gguf, tales-bpe.gguf and
                                            tales-unigram.gguf beside itself
       make_vocabularies.py --nfkc TALES.txt.xz FILE  writes a unigram vocabulary with the charsmap of
                                            published models, which is large
       make_vocabularies.py --wordpiece TALES.txt.xz  writes tales-wordpiece.gguf, and the ids that
                                            Hugging Face's tokenizers gives with it: .out for
                                            texts.inp, -scripts.out for scripts.inp
       make_vocabularies.py --peer URL NAME writes NAME.out: the ids that a running llama-server,
                                            with a model of vocabulary NAME, gives for texts.inp
The committed .out files are llama.cpp 0.7.0's, but for those of tales-wordpiece. texts.inp and .out have its format: texts between
lines of __ggml_vocab_test__, and a line of ids for each.
needs: python3-sentencepiece (Debian), or tokenizers (PyPI) for --wordpiece; TALES are books in the public domain
"""
import collections
import io
import json
import lzma
import pathlib
import re
import struct
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
U8, U32, I32, F32, BOOL, STRING, ARRAY = 0, 4, 5, 6, 7, 8, 9
# What the small charsmap replaces: ligatures, wide letters, an accent, spaces, and nothing at all.
RULES = [("ﬁ", "fi"), ("Ａ", "A"), ("Ｂ", "B"), ("½", "1⁄2"), ("e\u0301", "é"), ("\t", " "),
         ("\n", " "), ("\u3000", " "), ("\u200b", ""), ("ー", "ー"), ("ﷺ", "صلى الله عليه وسلم")]


def packed(kind, value):
    if kind == STRING:
        data = value.encode()
        return struct.pack("<Q", len(data)) + data
    if kind == ARRAY:
        element, values = value
        head = struct.pack("<IQ", element, len(values))
        return head + b"".join(packed(element, v) for v in values)
    return struct.pack({U8: "<B", U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def write_gguf(name, pairs):
    out = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs))
    for key, kind, value in pairs:
        out += packed(STRING, key) + struct.pack("<I", kind) + packed(kind, value)
    (HERE / name).write_bytes(out)


def varint(data, at):
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def field(message, number):
    """A length-delimited field of a protocol buffer's message."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 == 2:
            size, at = varint(message, at)
            if tag >> 3 == number:
                return message[at:at + size]
            at += size
        else:
            at = varint(message, at)[1] if tag & 7 == 0 else at + {1: 8, 5: 4}[tag & 7]
    return b""


def train_unigram(text, size, name, **normalization):
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()), model_writer=model, vocab_size=size,
        model_type="unigram", user_defined_symbols=["[GAP]"], pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        minloglevel=2, **normalization)
    spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    charsmap = field(field(model.getvalue(), 3), 2)  # normalizer_spec.precompiled_charsmap
    tokens = [spm.id_to_piece(i) for i in range(spm.get_piece_size())]
    types = [UNKNOWN if spm.is_unknown(i) else CONTROL if spm.is_control(i) else
             USER_DEFINED if tokens[i] == "[GAP]" else NORMAL for i in range(len(tokens))]
    write_gguf(name, [
        ("general.architecture", STRING, "t5"),
        ("tokenizer.ggml.model", STRING, "t5"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.scores", ARRAY, (F32, [spm.get_score(i) for i in range(len(tokens))])),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.precompiled_charsmap", ARRAY, (U8, list(charsmap))),
        ("tokenizer.ggml.add_space_prefix", BOOL, True),
        ("tokenizer.ggml.remove_extra_whitespaces", BOOL, True),
        ("tokenizer.ggml.eos_token_id", U32, 1),
        ("tokenizer.ggml.unknown_token_id", U32, 2),
        ("tokenizer.ggml.padding_token_id", U32, 0)])


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


def train_wordpiece(text, size):
    """Uncased, as most of BERT's kind: letters of the texts' scripts, and words of the tales."""
    from tokenizers import BertWordPieceTokenizer

    scripts = (HERE / "scripts.inp").read_bytes().decode()
    made = BertWordPieceTokenizer(lowercase=True)
    # Every second letter of the texts is unknown, so that words with and without them are met.
    letters = sorted(set(made.normalize(scripts)) - set(" \n_"))[::2]
    made.train_from_iterator(text.splitlines(), size, initial_alphabet=letters, show_progress=False)
    vocabulary = made.get_vocab()
    control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted(vocabulary, key=vocabulary.get)
    tokens = [word if word in control else word[2:] if word.startswith("##") else "\u2581" + word
              for word in words]
    write_gguf("tales-wordpiece.gguf", [
        ("general.architecture", STRING, "bert"),
        ("tokenizer.ggml.model", STRING, "bert"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY,
         (I32, [CONTROL if word in control else NORMAL for word in words])),
        ("tokenizer.ggml.bos_token_id", U32, vocabulary["[CLS]"]),
        ("tokenizer.ggml.eos_token_id", U32, vocabulary["[SEP]"]),
        ("tokenizer.ggml.seperator_token_id", U32, vocabulary["[SEP]"]),
        ("tokenizer.ggml.unknown_token_id", U32, vocabulary["[UNK]"])])
    for texts, out in (("texts.inp", ".out"), ("scripts.inp", "-scripts.out")):
        lines = [made.encode(text, add_special_tokens=False).ids for text in read_texts(texts)]
        (HERE / f"tales-wordpiece{out}").write_text(
            "".join("".join(f" {i}" for i in line) + "\n" for line in lines))


def read_texts(name):
    return (HERE / name).read_bytes().decode().split("\n__ggml_vocab_test__\n")[:-1]


def ask_peer(url, name):
    lines = []
    for text in read_texts("texts.inp"):
        body = json.dumps({"content": text, "add_special": False, "parse_special": False})
        request = urllib.request.Request(url + "/tokenize", body.encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            lines.append("".join(f" {i}" for i in json.load(reply)["tokens"]) + "\n")
    (HERE / f"{name}.out").write_text("".join(lines))


def read(path):
    return lzma.open(path, "rt", encoding="utf-8").read(1_000_000)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--peer":
        ask_peer(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == "--wordpiece":
        train_wordpiece(read(sys.argv[2]), 3000)
    elif len(sys.argv) == 4 and sys.argv[1] == "--nfkc":
        train_unigram(read(sys.argv[2]), 4096, pathlib.Path(sys.argv[3]).absolute(),
                      normalization_rule_name="nmt_nfkc")
    elif len(sys.argv) == 2:
        text = read(sys.argv[1])
        train_spm(text, 1024)
        train_bpe(text, 500)
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
            for source, target in RULES:
                codes = (" ".join(f"{ord(c):X}" for c in side) for side in (source, target))
                rules.write("\t".join(codes) + "\n")
            rules.flush()
            train_unigram(text, 1024, "tales-unigram.gguf", normalization_rule_tsv=rules.name)
    else:
        sys.exit(__doc__)


main()
