// The openai package: completions, models, errors and retries.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { PROMPT, SAMPLING, collect, joined, neighbours, sum } from "./reference.mjs";
import { Server } from "./server.mjs";

let server, client;
before(async () => {
  server = await Server.start("--queue", 200, "--strict", "--strict-model");
  client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: "any",
    fetch: server.fetch,
    maxRetries: 0,
  });
});
after(() => server.stop());

const model = "lockstep-tales";
const complete = (fields) =>
  client.completions.create({ model, prompt: PROMPT, max_tokens: 24, ...fields });
const generate = (fields) =>
  server.generate({ prompt: PROMPT, max_tokens: 24, ...SAMPLING, ...fields });

test("models", async () => {
  const models = await collect(await client.models.list());
  assert.deepEqual(models.map((m) => m.id), [model]);
  assert.equal((await client.models.retrieve(model)).owned_by, "lockstep");
  await assert.rejects(client.models.retrieve("gpt"), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.equal(error.param, "model");
    return true;
  });
});

test("openai [basic]: a completion is what /generate says", async () => {
  const { data, request_id } = await complete({ seed: 7 }).withResponse();
  const expected = await generate({ seed: 7 });
  assert.equal(data.choices[0].text, expected.text);
  assert.equal(data.choices[0].finish_reason, "length");
  assert.equal(data.choices[0].logprobs, null);
  assert.equal(data.system_fingerprint, expected.system_fingerprint);
  assert.equal(data.usage.prompt_tokens, expected.usage.prompt_tokens);
  assert.equal(data.usage.completion_tokens, 24);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + 24);
  assert.ok(Math.abs(data.created - Date.now() / 1000) < 60);
  assert.match(request_id, /^req-/);
  assert.equal((await complete({ seed: 7, max_tokens: null })).usage.completion_tokens, 16);
});

test("a chosen seed can be sent again", async () => {
  const first = await complete({});
  const again = await complete({ seed: first.choices[0].seed });
  assert.equal(again.choices[0].text, first.choices[0].text);
});

test("every parameter has its effect, the same as on /generate", async () => {
  const cases = [
    { temperature: 0 },
    { temperature: 1.7, top_p: 0.5 },
    { top_k: 3 },
    { min_p: 0.3 },
    { frequency_penalty: 2, presence_penalty: -1 },
    { repetition_penalty: 1.4 },
    { logit_bias: { 448: 100 } },
    { stop: [" a", "."] },
    { stop: "e", ignore_eos: true },
  ];
  const plain = (await generate({ seed: 3 })).text;
  let different = 0;
  for (const fields of cases) {
    const { choices } = await complete({ seed: 3, ...fields });
    const expected = await generate({ seed: 3, ...fields });
    assert.equal(choices[0].text, expected.text, JSON.stringify(fields));
    assert.equal(choices[0].finish_reason, expected.finish_reason);
    different += choices[0].text !== plain;
  }
  assert.ok(different >= cases.length - 1, `${different} of ${cases.length}`);
  const other = await complete({ seed: 3, repeat_penalty: 1.4 });
  assert.equal(other.choices[0].text, (await generate({ seed: 3, repetition_penalty: 1.4 })).text);
});

test("prompts as text, texts, ids and lists of ids", async () => {
  const ids = [1, 448, 999, 261];
  const texts = ["A", "The end"];
  const expected = await Promise.all(
    [ids, [5, 6], ...texts].map((prompt) => generate({ prompt, seed: 1 })),
  );
  const answers = [
    ...(await complete({ prompt: ids, seed: 1 })).choices,
    ...(await complete({ prompt: [[5, 6]], seed: 1 })).choices,
    ...(await complete({ prompt: texts, seed: 1 })).choices,
    ...(await complete({ prompt: [ids, [5, 6]], seed: 1 })).choices,
  ].map((choice) => choice.text);
  const [a, b, c, d] = expected.map((answer) => answer.text);
  assert.deepEqual(answers, [a, b, c, d, a, b]);
});

test("choice i is /generate's with the seed plus i; the prompt is computed once", async () => {
  const prompt = "There was once a queen who had three sons, and the youngest of them was lost. ";
  const { choices, usage } = await complete({ prompt, n: 3, seed: 40 });
  for (const [i, choice] of choices.entries()) {
    assert.equal(choice.index, i);
    assert.equal(choice.seed, 40 + i);
    assert.equal(choice.text, (await generate({ prompt, seed: 40 + i })).text);
  }
  const one = await generate({ prompt, seed: 40 });
  assert.equal(usage.prompt_tokens, one.usage.prompt_tokens);
  assert.equal(usage.completion_tokens, 72);
});

test("best_of takes the best mean logprob", async () => {
  const { choices, usage } = await complete({ n: 2, best_of: 5, seed: 60 });
  const all = await Promise.all(
    [0, 1, 2, 3, 4].map((i) => generate({ seed: 60 + i, logprobs: 0 })),
  );
  const mean = (answer) => sum(answer.logprobs.map((l) => l.logprob)) / answer.tokens.length;
  const best = all.sort((a, b) => mean(b) - mean(a)).slice(0, 2);
  assert.deepEqual(choices.map((c) => c.text), best.map((answer) => answer.text));
  assert.equal(usage.completion_tokens, 5 * 24);
});

test("logprobs are those of /generate", async () => {
  const { choices } = await complete({ seed: 9, logprobs: 3 });
  const expected = await generate({ seed: 9, logprobs: 3 });
  const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs;
  assert.deepEqual(token_logprobs, expected.logprobs.map((l) => l.logprob));
  assert.equal(joined(tokens), choices[0].text);
  for (const [i, top] of top_logprobs.entries()) {
    for (const other of expected.logprobs[i].top) assert.equal(top[other.text], other.logprob);
    assert.equal(top[tokens[i]], token_logprobs[i]);
    assert.ok(choices[0].text.startsWith(tokens[i], text_offset[i]));
  }
});

test("echo puts the prompt before each answer", async () => {
  const { choices } = await complete({ seed: 2, echo: true, n: 2 });
  for (const [i, choice] of choices.entries()) {
    assert.equal(choice.text, PROMPT + (await generate({ seed: 2 + i })).text);
  }
  const stream = await complete({ seed: 2, echo: true, stream: true });
  assert.equal(joined((await collect(stream)).map((c) => c.choices[0].text)), choices[0].text);
});

test("openai [stream]: streamed is the same as whole", async () => {
  const fields = { seed: 5, n: 2, logprobs: 1, stop: ["\n"] };
  const whole = await complete(fields);
  const chunks = await collect(
    await complete({ ...fields, stream: true, stream_options: { include_usage: true } }),
  );
  const usage = chunks.pop();
  assert.deepEqual(usage.choices, []);
  assert.equal(usage.usage.completion_tokens, whole.usage.completion_tokens);
  assert.equal(new Set(chunks.map((c) => `${c.id} ${c.created} ${c.model}`)).size, 1);
  for (const choice of whole.choices) {
    const pieces = chunks.map((c) => c.choices[0]).filter((c) => c.index === choice.index);
    assert.equal(joined(pieces.map((p) => p.text)), choice.text);
    assert.deepEqual(
      pieces.flatMap((p) => p.logprobs?.text_offset ?? []),
      choice.logprobs.text_offset,
    );
    assert.deepEqual(
      pieces.map((p) => p.finish_reason).filter(Boolean),
      [choice.finish_reason],
    );
    assert.ok(pieces.at(-1).finish_reason);
  }
});

test("sixteen neighbours change nothing", async () => {
  const requests = Array.from({ length: 12 }, (_, i) => ({
    prompt: PROMPT + " a fox".repeat(i),
    seed: i,
    temperature: i % 4 === 0 ? 0 : 1.2,
    n: 1 + (i % 3),
    stream: i % 2 === 1,
  }));
  const texts = async (request) => {
    const answer = await complete(request);
    if (!request.stream) return answer.choices.map((c) => c.text);
    const all = Array(request.n).fill("");
    for (const { choices } of await collect(answer)) all[choices[0].index] += choices[0].text;
    return all;
  };
  const stop = neighbours(server, 16);
  const together = await Promise.all(requests.map(texts));
  await stop();
  for (const [i, request] of requests.entries()) {
    const alone = await texts(request);
    assert.deepEqual(together[i], alone);
    for (const [k, text] of alone.entries()) {
      const { prompt, temperature } = request;
      assert.equal(text, (await generate({ prompt, temperature, seed: i + k })).text);
    }
  }
});

test("openai [errors]: errors are of the client's classes and name the field", async () => {
  const refused = (fields, param, code = null) =>
    assert.rejects(complete(fields), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
      assert.equal(error.type, "invalid_request_error");
      assert.equal(error.param, param);
      assert.equal(error.code, code);
      assert.ok(error.requestID);
      return true;
    });
  await refused({ nonsense: 1 }, "nonsense");
  await refused({ temperature: 3e9 }, "temperature");
  await refused({ suffix: "end" }, "suffix");
  await refused({ suffix: "end", echo: true }, "suffix");
  await refused({ prompt: "a ".repeat(2000) }, "prompt", "context_length_exceeded");
  await assert.rejects(complete({ model: "gpt-4o" }), OpenAI.NotFoundError);
});

test("openai [cancel]: a stream that is left frees its session", async () => {
  const request = { model, prompt: PROMPT, max_tokens: 400, ignore_eos: true, stream: true };
  const stream = await client.withOptions({ fetch }).completions.create(request); // reads no copy
  for await (const chunk of stream) {
    assert.equal(chunk.object, "text_completion");
    break;
  }
  const idle = async () => (await (await fetch(`${server.url}/readyz`)).json()).running === 0;
  for (let i = 0; i < 100 && !(await idle()); ++i) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(await idle());
});

test("openai [errors]: what took too long is not tried again", async () => {
  let requests = 0;
  const retrying = client.withOptions({
    maxRetries: 3,
    fetch: (...args) => (++requests, server.fetch(...args)),
  });
  await assert.rejects(
    retrying.completions.create(
      { model, prompt: PROMPT, max_tokens: 480, ignore_eos: true },
      { headers: { "X-Request-Timeout-Ms": "1" } },
    ),
    (error) => error.status === 504 && error.code === "deadline_exceeded",
  );
  assert.equal(requests, 1);
});

test("openai [errors]: a full queue is 429, and the client's retries get through", async () => {
  const small = await Server.start("--sessions", 1, "--queue", 1, "--isa", "scalar");
  const options = { baseURL: `${small.url}/v1`, apiKey: "any", fetch: small.fetch };
  const hasty = new OpenAI({ ...options, maxRetries: 0 });
  const patient = new OpenAI({ ...options, maxRetries: 20 });
  const request = { model, prompt: PROMPT, max_tokens: 60, ignore_eos: true, seed: 1 };
  const refused = [];
  await Promise.all(
    Array.from({ length: 6 }, () => hasty.completions.create(request).catch((e) => refused.push(e))),
  );
  assert.ok(refused.length >= 1);
  for (const error of refused) {
    assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
    assert.equal(error.code, "queue_full");
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
  }
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => patient.completions.create(request)),
  );
  assert.equal(new Set(answers.map((answer) => answer.choices[0].text)).size, 1);
  await small.stop();
});

test("openai [errors]: keys, aliases and unknown fields", async () => {
  const keyed = await Server.start("--api-key", "secret", "--model-alias", "gpt-4o", "--strict-model");
  const options = { baseURL: `${keyed.url}/v1`, fetch: keyed.fetch, maxRetries: 0 };
  const request = { model: "gpt-4o", prompt: PROMPT, seed: 1, mirostat: 2 };
  await assert.rejects(
    new OpenAI({ ...options, apiKey: "wrong" }).completions.create(request),
    OpenAI.AuthenticationError,
  );
  const { data, response } = await new OpenAI({ ...options, apiKey: "secret" }).completions
    .create(request)
    .withResponse();
  assert.equal(data.model, "gpt-4o");
  assert.equal(response.headers.get("x-ignored-params"), "mirostat");
  await keyed.stop();
});
