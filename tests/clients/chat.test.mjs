// The openai package: conversations with the embedded model, whose template strings the messages
// together as paragraphs of one tale.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { SAMPLING, collect, joined, neighbours } from "./reference.mjs";
import { Server } from "./server.mjs";

let server, client;
before(async () => {
  server = await Server.start("--queue", 200, "--strict");
  const options = { apiKey: "any", fetch: server.fetch, maxRetries: 0 };
  client = new OpenAI({ baseURL: `${server.url}/v1`, ...options });
});
after(() => server.stop());

const model = "lockstep-tales";
const MESSAGES = [
  { role: "system", content: "You tell fairy tales." },
  { role: "user", content: "Once upon a time there was a fox." },
  { role: "assistant", content: "He lived in a wood." },
  { role: "user", content: "One day" },
];
const chat = (fields) =>
  client.chat.completions.create({ model, messages: MESSAGES, max_tokens: 20, ...fields });

// /generate's answer to the prompt that the conversation becomes.
async function generate({ messages = MESSAGES, ...fields }) {
  const { prompt } = await (await server.post("/apply-template", { messages })).json();
  return server.generate({ prompt, max_tokens: 20, ...SAMPLING, ...fields });
}

test("openai [basic]: an answer is what /generate says to the same prompt", async () => {
  for (const fields of [{ seed: 1 }, { seed: 2, temperature: 0.3, stop: ["."] }, { temperature: 0 }]) {
    const answer = await chat(fields);
    const expected = await generate(fields);
    assert.match(answer.id, /^chatcmpl-/);
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.choices[0].message.content, expected.text);
    assert.equal(answer.choices[0].finish_reason, expected.finish_reason);
    assert.equal(answer.usage.prompt_tokens, expected.usage.prompt_tokens);
    assert.equal(answer.usage.completion_tokens, expected.usage.completion_tokens);
    assert.equal(answer.system_fingerprint, expected.system_fingerprint);
  }
});

test("openai [basic]: max_completion_tokens, n, logprobs", async () => {
  const { choices, usage } = await chat({
    max_tokens: undefined,
    max_completion_tokens: 6,
    n: 2,
    seed: 30,
    logprobs: true,
    top_logprobs: 2,
  });
  assert.equal(usage.completion_tokens, 12);
  for (const [i, choice] of choices.entries()) {
    const expected = await generate({ max_tokens: 6, seed: 30 + i, logprobs: 2 });
    const content = choice.logprobs.content;
    assert.equal(choice.message.content, expected.text);
    assert.equal(joined(content.map((t) => t.token)), expected.text);
    assert.deepEqual(content.map((t) => t.logprob), expected.logprobs.map((l) => l.logprob));
    assert.deepEqual(content.map((t) => t.bytes), expected.logprobs.map((l) => l.bytes));
    assert.deepEqual(content[0].top_logprobs.map((t) => t.logprob),
      expected.logprobs[0].top.map((t) => t.logprob));
  }
});

test("openai [stream]: streamed is the same as whole", async () => {
  const fields = { seed: 4, n: 2, stop: ["\n"] };
  const whole = await chat(fields);
  const chunks = await collect(
    await chat({ ...fields, stream: true, stream_options: { include_usage: true } }),
  );
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.deepEqual(last.usage.completion_tokens, whole.usage.completion_tokens);
  for (const choice of whole.choices) {
    const pieces = chunks.map((c) => c.choices[0]).filter((c) => c.index === choice.index);
    assert.deepEqual(pieces[0].delta, { role: "assistant", content: "" });
    assert.deepEqual(pieces.at(-1).delta, {});
    assert.equal(pieces.at(-1).finish_reason, choice.finish_reason);
    assert.equal(joined(pieces.map((p) => p.delta.content ?? "")), choice.message.content);
  }
});

test("openai [stream]: the client's stream helper adds it up", async () => {
  const stream = client.chat.completions.stream({
    model,
    messages: MESSAGES,
    max_tokens: 20,
    seed: 4,
  });
  const deltas = [];
  stream.on("content", (delta) => deltas.push(delta));
  const answer = await stream.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, joined(deltas));
  assert.equal(answer.choices[0].message.content, (await chat({ seed: 4 })).choices[0].message.content);
});

test("openai [basic]: content in parts, and an answer that is sent back", async () => {
  const text = "One day";
  const parts = [...MESSAGES.slice(0, 3), { role: "user", content: [{ type: "text", text }] }];
  const first = await chat({ seed: 6 });
  assert.equal(
    (await chat({ seed: 6, messages: parts })).choices[0].message.content,
    first.choices[0].message.content,
  );
  const { message } = first.choices[0];
  const next = [...MESSAGES, message, { role: "user", content: "And then" }];
  const answer = await chat({ seed: 6, messages: next });
  assert.equal(answer.choices[0].message.content, (await generate({ seed: 6, messages: next })).text);
});

test("a conversation that goes on takes what was computed from the prefix cache", async () => {
  const long = [{ role: "user", content: "The old king had a castle on the hill. ".repeat(8) }];
  const { choices } = await chat({ messages: long, seed: 1 });
  const more = [...long, choices[0].message, { role: "user", content: "And so" }];
  const { usage } = await chat({ messages: more, seed: 1 });
  assert.ok(usage.prompt_tokens_details.cached_tokens >= 64, JSON.stringify(usage));
});

test("text from outside never becomes control tokens", async () => {
  const harmless = await chat({ messages: [{ role: "user", content: "aaa" }], seed: 1 });
  for (const content of ["<s>", "</s>", "<s></s><unk>"]) {
    const answer = await chat({ messages: [{ role: "user", content }], seed: 1 });
    assert.ok(answer.usage.prompt_tokens > harmless.usage.prompt_tokens - 1);
    assert.ok(answer.usage.prompt_tokens >= 1 + content.length / 2, JSON.stringify(answer.usage));
  }
});

test("sixteen neighbours change nothing", async () => {
  const texts = (seed) =>
    chat({ seed, n: 2 }).then((answer) => answer.choices.map((c) => c.message.content));
  const stop = neighbours(server, 16);
  const together = await Promise.all(Array.from({ length: 8 }, (_, seed) => texts(seed)));
  await stop();
  for (const [seed, both] of together.entries()) {
    assert.deepEqual(both, await texts(seed));
    assert.equal(both[1], (await generate({ seed: seed + 1 })).text);
  }
});

test("openai [errors]: what cannot be done is refused by name", async () => {
  const tool = { type: "function", function: { name: "f", parameters: {} } };
  const cases = [
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "wizard", content: "x" }] }, "messages[0].role"],
    [{ messages: [{ role: "user", content: 1 }] }, "messages[0].content"],
    [{ top_logprobs: 2 }, "top_logprobs"],
    [{ chat_template: "{{ messages }}" }, "chat_template"],
    [{ max_tokens: 5, max_completion_tokens: 6 }, "max_tokens"],
    [{ modalities: ["audio"] }, "modalities"],
    [{ nonsense: true }, "nonsense"],
    [
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] },
      "messages[0].content[0].type",
    ],
  ];
  for (const [fields, param] of cases) {
    await assert.rejects(chat(fields), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
      assert.equal(error.param, param);
      return true;
    });
  }
  const answer = await chat({ tools: [tool], tool_choice: "none", seed: 1 });
  assert.equal(answer.choices[0].message.content, (await chat({ seed: 1 })).choices[0].message.content);
});

test("the answer goes on with the assistant's last message", async () => {
  const messages = [...MESSAGES, { role: "assistant", content: "He met a" }];
  const { prompt } = await (await server.post("/apply-template", { messages })).json();
  assert.match(prompt, /He met a$/);
  const expected = await server.generate({ prompt, max_tokens: 20, seed: 1, ...SAMPLING });
  for (const fields of [{}, { continue_final_message: true, add_generation_prompt: false }]) {
    const answer = await chat({ messages, seed: 1, ...fields });
    assert.equal(answer.choices[0].message.content, expected.text);
  }
  const echo = await collect(await chat({ messages, seed: 1, echo: true, stream: true }));
  assert.equal(joined(echo.map((piece) => piece.choices[0].delta.content)), "He met a" + expected.text);
});
