"""Tokens: equal to those of the tokenizers that the models were published with, built here from
what the GGUF files say."""
import struct

import sentencepiece
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import texts
from rows import Row, note

COUNT, SEED = 3000, 20260225
CONTROL_TOKEN = 3  # tokenizer.ggml.token_type
BPE, BYTE_FALLBACK = 2, 1

# The texts whose tokens are not sentencepiece's still, and what goes wrong with them.
KNOWN_DIFFERENCES = {
    "\u2581": "the sign that stands for a space in the file, as a character of a text",
}


def smollm_tokenizer(file):
    """As SmolLM2's tokenizer.json: each digit alone, then GPT-2's words in its byte alphabet."""
    tokens = file.metadata["tokenizer.ggml.tokens"]
    kinds = file.metadata["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in file.metadata["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    control = [token for token, kind in zip(tokens, kinds) if kind == CONTROL_TOKEN]
    return made, control


def with_control_tokens(file):
    made, control = smollm_tokenizer(file)
    made.add_special_tokens([AddedToken(token, special=True, normalized=False)
                             for token in control])
    return made


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """One field of a protocol buffer: a message, text, whole number or float32."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def sentencepiece_of(file):
    """The file's vocabulary as a sentencepiece model, whose numbers of types GGUF has taken over.
    The spaces of user-defined tokens are themselves in GGUF files, but U+2581 in the original."""
    texts_of = [token.replace(" ", "\u2581") for token in file.metadata["tokenizer.ggml.tokens"]]
    pieces = zip(texts_of, file.metadata["tokenizer.ggml.scores"],
                 file.metadata["tokenizer.ggml.token_type"])
    special = {40: "unknown", 41: "bos", 42: "eos", 43: "padding"}
    trainer = field(3, BPE) + field(35, BYTE_FALLBACK) + b"".join(
        field(number, file.metadata[f"tokenizer.ggml.{name}_token_id"])
        for number, name in special.items())
    normalizer = field(1, "identity") + field(3, 0) + field(4, 0) + field(5, 1)
    model = b"".join(field(1, field(1, text) + field(2, score) + field(3, kind))
                     for text, score, kind in pieces)
    return sentencepiece.SentencePieceProcessor(
        model_proto=model + field(2, trainer) + field(3, normalizer))


def different(service, strings, expected, special):
    """The strings whose tokens are not the expected ones; the first is printed."""
    bodies = [{"content": text, "add_special": False, "parse_special": special}
              for text in strings]
    wrong = []
    for text, reply, want in zip(strings, service.post_all("/tokenize", bodies), expected):
        if reply["tokens"] != want:
            if not wrong:
                note(f"tokens of {text!r}:\n  lockstep {reply['tokens']}\n  expected {want}")
            wrong.append(text)
    return wrong


def smollm2(service, file):
    plain, control = smollm_tokenizer(file)
    strings = texts.random_strings(COUNT, SEED)
    missing = set(pre_tokenizers.ByteLevel.alphabet()) - set(plain.get_vocab())
    words = [plain.pre_tokenizer.pre_tokenize_str(text) for text in strings]
    lost = sum(any(missing & set(word) for word, _ in of_text) for of_text in words)
    wrong = different(service, strings, [plain.encode(text).ids for text in strings], False)
    yield Row(f"tokens of {COUNT} strings = tokenizers ({lost} with bytes without a token)",
              f"{COUNT - len(wrong)}", "all", not wrong)
    chats = [control[i % len(control)].join([text[:9], text[9:20], text[20:]])
             for i, text in enumerate(strings[:300])]
    full = with_control_tokens(file)
    wrong = different(service, chats, [full.encode(text).ids for text in chats], True)
    yield Row(f"tokens of {len(chats)} strings with control tokens = tokenizers",
              f"{len(chats) - len(wrong)}", "all", not wrong)


def gemma(service, file):
    peer = sentencepiece_of(file)
    strings = texts.random_strings(COUNT, SEED + 1)
    for known in KNOWN_DIFFERENCES:
        strings = [text.replace(known, "") for text in strings]
    wrong = different(service, strings, [peer.encode(text) for text in strings], False)
    yield Row(f"tokens of {COUNT} strings = sentencepiece", f"{COUNT - len(wrong)}", "all",
              not wrong)
    known = [f"a {text} b{text}c" for text in KNOWN_DIFFERENCES]
    mended = [text for text in known if service.tokens(text) == peer.encode(text)]
    for text in mended:
        note(f"{text!r} has sentencepiece's tokens now: strike it from KNOWN_DIFFERENCES")
    yield Row("known to differ from sentencepiece: " + ", ".join(map(repr, KNOWN_DIFFERENCES)),
              f"{len(known) - len(mended)}", f"{len(known)}", not mended)
