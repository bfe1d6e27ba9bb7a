// Writes a GGUF file of a small encoder with random weights, over the vocabulary of WordPiece that
// is in tests/data: what a client's tests of vectors need is any model that has some.
import { readFileSync, writeFileSync } from "node:fs";
import { ARRAY, BOOL, FLOAT32, STRING, UINT32, f32, gguf, pair, string, u32 } from "../support/gguf.mjs";

const VOCABULARY = new URL("../data/tales-wordpiece.gguf", import.meta.url);
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]; // of the types of values
const DIM = 32, FFN = 64, CONTEXT = 64;

export const VECTOR = DIM; // values of each

// The file's pairs of a tokenizer as they are, how many there are, and how many tokens.
function tokenizer() {
  const bytes = readFileSync(VOCABULARY);
  let at = 16; // magic, version and the number of tensors
  const number = () => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const word = () => bytes.readUInt32LE((at += 4) - 4);
  const text = () => {
    const size = number();
    return bytes.toString("utf8", at, (at += size));
  };
  const skip = (type) => {
    if (type === STRING) text();
    else if (type === ARRAY) {
      const inner = word();
      const count = number();
      for (let left = count; left > 0; left -= 1) skip(inner);
      return count;
    } else at += SIZES[type];
    return 1;
  };
  const pairs = [];
  let tokens = 0;
  for (let left = number(); left > 0; left -= 1) {
    const begin = at, key = text(), count = skip(word());
    if (key === "tokenizer.ggml.tokens") tokens = count;
    if (key.startsWith("tokenizer.")) pairs.push(bytes.subarray(begin, at));
  }
  return { pairs, tokens };
}

export function writeEncoder(file, name = "tiny-encoder") {
  const { pairs, tokens } = tokenizer();
  const add = (key, type, value) => pairs.push(pair(key, type, value));
  add("general.architecture", STRING, string("bert"));
  add("general.name", STRING, string(name));
  const sizes = {
    context_length: CONTEXT, embedding_length: DIM, feed_forward_length: FFN, block_count: 1,
    "attention.head_count": 2, pooling_type: 1,
  };
  for (const [key, value] of Object.entries(sizes)) add(`bert.${key}`, UINT32, u32(value));
  add("bert.attention.layer_norm_epsilon", FLOAT32, f32([1e-12]));
  add("bert.attention.causal", BOOL, Buffer.of(0));
  add("tokenizer.ggml.token_type_count", UINT32, u32(1));

  let seed = 1;
  const random = (n, scale) =>
    Array.from({ length: n }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed / 2 ** 32 - 0.5) * scale;
    });
  const matrix = (name, columns, rows) => [
    [`${name}.weight`, [columns, rows], random(columns * rows, 0.5)],
    [`${name}.bias`, [rows], random(rows, 0.1)],
  ];
  const norm = (name) => [
    [`${name}.weight`, [DIM], Array(DIM).fill(1)],
    [`${name}.bias`, [DIM], Array(DIM).fill(0)],
  ];
  const tensors = [
    ["token_embd.weight", [DIM, tokens], random(DIM * tokens, 2)],
    ["token_types.weight", [DIM, 1], random(DIM, 0.1)],
    ["position_embd.weight", [DIM, CONTEXT], random(DIM * CONTEXT, 0.2)],
    ...norm("token_embd_norm"),
    ...["attn_q", "attn_k", "attn_v", "attn_output"].flatMap((m) => matrix(`blk.0.${m}`, DIM, DIM)),
    ...norm("blk.0.attn_output_norm"),
    ...matrix("blk.0.ffn_up", DIM, FFN),
    ...matrix("blk.0.ffn_down", FFN, DIM),
    ...norm("blk.0.layer_output_norm"),
  ];
  writeFileSync(file, gguf(pairs, tensors));
}
