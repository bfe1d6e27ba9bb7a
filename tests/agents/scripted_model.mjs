// Writes a GGUF file of a model whose answers are known beforehand, so that agents that send
// nothing but their own prompts can be led through their turns.
//
// The model has one layer that adds nothing, so that the token before decides the next one: after
// the control token <|say:NAME|> comes the answer of that name, which is one token of the
// vocabulary, and after an answer the end. All else is bytes. Which of the answers it is to be says
// the chat template, which ends the prompt with its control token.
import { writeFileSync } from "node:fs";
import {
  ARRAY, FLOAT32, INT32, STRING, UINT32, array, f32, gguf, pair, string, u32,
} from "../support/gguf.mjs";

const NORMAL = 1, CONTROL = 3;
const DIM = 32;

// A byte as byte-level vocabularies of BPE write it: one that cannot be printed as a character
// beyond the first 256.
const CHARACTERS = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(printable ? byte : next++);
  });
})();
const asBytes = (text) => [...Buffer.from(text)].map((byte) => CHARACTERS[byte]).join("");

// Its prompt ends with the cue of the answer "call" where there is that tool and no result yet, and
// with that of "done" elsewhere.
export const templateThatCalls = (tool) => `{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}
{%- set state = namespace(due="done") %}
{%- for tool in tools or [] if tool.function.name == "${tool}" %}{% set state.due = "call" %}
{%- endfor %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content or "" }}
{%- for c in m.tool_calls or [] %}<tool_call>
{"name": {{ c.function.name | tojson }}, "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% if m.role == "tool" %}{% set state.due = "done" %}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
<|say:{{ state.due }}|>{% endif %}`;

// `answers` is {name: text}.
export function writeScriptedModel(file, { name, template, answers, context = 131072 }) {
  const texts = [...CHARACTERS], types = texts.map(() => NORMAL);
  const add = (text, type) => {
    types.push(type);
    return texts.push(text) - 1;
  };
  add("ab", NORMAL); // of the one merge, without which it were no BPE
  const end = add("<|im_end|>", CONTROL);
  const begin = add("<|im_start|>", CONTROL);
  // A state is a place in the embedding that is 1. In state 0, of all other tokens, it ends.
  const state = new Map(), said = new Map();
  for (const [i, [key, text]] of Object.entries(answers).entries()) {
    const cue = add(`<|say:${key}|>`, CONTROL), answer = add(asBytes(text), NORMAL);
    if (i + 1 >= DIM) throw new Error(`more than ${DIM - 1} answers`);
    state.set(cue, i + 1);
    said.set(answer, i + 1);
  }
  const row = (place, value) => Array.from({ length: DIM }, (_, i) => (i === place ? value : 0));
  const rows = (value) => texts.flatMap((_, id) => value(id));
  const zeros = Array(DIM * DIM).fill(0), ones = Array(DIM).fill(1);
  const square = [DIM, DIM];
  const tensors = [
    ["token_embd.weight", [DIM, texts.length], rows((id) => row(state.get(id) ?? 0, 1))],
    ["output_norm.weight", [DIM], ones],
    ["output.weight", [DIM, texts.length],
      rows((id) => (id === end ? row(0, 100) : row(said.get(id) ?? -1, 100)))],
    ["blk.0.attn_norm.weight", [DIM], ones],
    ["blk.0.ffn_norm.weight", [DIM], ones],
    ...["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(
      (matrix) => [`blk.0.${matrix}.weight`, square, zeros],
    ),
  ];
  const number = (value) => [UINT32, u32(value)];
  const pairs = {
    "general.architecture": [STRING, string("llama")],
    "general.name": [STRING, string(name)],
    "llama.context_length": number(context),
    "llama.embedding_length": number(DIM),
    "llama.block_count": number(1),
    "llama.feed_forward_length": number(DIM),
    "llama.attention.head_count": number(1),
    "llama.attention.head_count_kv": number(1),
    "llama.rope.dimension_count": number(DIM),
    "llama.attention.layer_norm_rms_epsilon": [FLOAT32, f32([1e-5])],
    "tokenizer.ggml.model": [STRING, string("gpt2")],
    "tokenizer.ggml.pre": [STRING, string("gpt-2")],
    "tokenizer.ggml.tokens": [ARRAY, array(STRING, texts.map(string))],
    "tokenizer.ggml.token_type": [ARRAY, array(INT32, types.map(u32))],
    "tokenizer.ggml.merges": [ARRAY, array(STRING, [string("a b")])],
    "tokenizer.ggml.bos_token_id": number(begin),
    "tokenizer.ggml.eos_token_id": number(end),
    "tokenizer.chat_template": [STRING, string(template)],
  };
  const all = Object.entries(pairs).map(([key, [type, value]]) => pair(key, type, value));
  writeFileSync(file, gguf(all, tensors));
}
