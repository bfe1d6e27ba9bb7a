// Editors that complete code, as their plugins ask and as they read what comes: llama.vim and
// llama.vscode by /infill, Zed by its provider of llama.cpp's models and by /v1/completions, and
// Continue by Ollama's suffix. No package of theirs runs without an editor, so that their requests
// are played here. The model is the embedded one, whose tokens of some words stand for the marks of
// gaps: what it fills them with makes no sense, and is the same each time.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Server } from "./server.mjs";
import { withIntegers } from "./template.mjs";
import { TALES } from "./tooled.mjs";

const MARKS = { pre: 300, suf: 301, mid: 302, rep: 303, sep: 304 };
const PREFIX = "Once upon a time\n", MIDDLE = "there was a ", SUFFIX = "\nThe end.\n";

let folder, server, plain;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "editors-"));
  const file = join(folder, "gaps.gguf");
  withIntegers(TALES, file, Object.fromEntries(
    Object.entries(MARKS).map(([name, id]) => [`tokenizer.ggml.fim_${name}_token_id`, id])));
  server = await Server.start("--model", file);
  plain = await Server.start();
});
after(async () => {
  await server.stop();
  await plain.stop();
  rmSync(folder, { recursive: true });
});

const answer = async (response) => {
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
};
const tokens = async (content) =>
  (await answer(await server.post("/tokenize", { content, parse_special: false }))).tokens;
// As llama-server puts the prompt of a gap together.
async function prompt(prefix, suffix, middle = "", files = [], repository = true) {
  const info = await answer(await server.fetch(`${server.url}/tokenizer_info`));
  const bos = info.add_bos_token ? (await answer(await server.post("/tokenize", { prompt: "" }))).tokens : [];
  const ids = [];
  if (repository) ids.push(MARKS.rep, ...(await tokens("myproject\n")));
  for (const { filename, text } of files) {
    ids.push(MARKS.sep, ...(await tokens(`${filename}\n`)), ...(await tokens(text)));
  }
  if (repository) ids.push(MARKS.sep, ...(await tokens("filename\n")));
  return [...ids, ...bos, MARKS.pre, ...(await tokens(prefix)), ...(await tokens(middle)),
    MARKS.suf, ...(await tokens(suffix)), MARKS.mid];
}

test("llama.vim reads what fills a gap, and its times", async () => {
  const files = [{ filename: "a.txt", text: "A cat.\n", time: [1, 2] }];
  // It warms the cache up first, and reads nothing.
  const warm = await server.post("/infill", {
    input_prefix: "", input_suffix: "", input_extra: files, prompt: "", n_predict: 0, temperature: 0.0,
    stream: false, samplers: [], cache_prompt: true, t_max_prompt_ms: 1, t_max_predict_ms: 1,
    response_fields: [""],
  });
  assert.deepEqual(await answer(warm), {});
  const response = await server.post("/infill", {
    id_slot: 0, input_prefix: PREFIX, input_suffix: SUFFIX, input_extra: files, prompt: MIDDLE,
    n_predict: 12, n_indent: 0, top_k: 40, top_p: 0.99, stream: false, seed: 5, stop: ["\n"],
    samplers: ["top_k", "top_p", "infill"], cache_prompt: true, t_max_prompt_ms: 500,
    t_max_predict_ms: 1500,
    response_fields: ["content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms",
      "timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms",
      "timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated", "tokens_cached"],
  });
  const read = await answer(response);
  for (const name of ["samplers[2]", "t_max_prompt_ms", "t_max_predict_ms"]) {
    assert.ok(response.headers.get("x-ignored-params").includes(name), name);
  }
  assert.equal(typeof read.content, "string");
  assert.equal(read.truncated, false);
  assert.ok(read["timings/predicted_n"] > 0 && read["timings/predicted_n"] <= 12);
  assert.ok(read["timings/prompt_ms"] > 0);
  // The same prompt, by its tokens, says the same.
  const same = await server.generate({
    prompt: await prompt(PREFIX, SUFFIX, MIDDLE, files), max_tokens: 12, top_k: 40, top_p: 0.99, min_p: 0,
    temperature: 1, seed: 5, stop: ["\n"],
  });
  assert.equal(read.content, same.text);
});

test("llama.vscode reads the whole answer", async () => {
  const read = await answer(await server.post("/infill", {
    input_prefix: PREFIX, input_suffix: SUFFIX, input_extra: [{ text: "A dog.\n", filename: "b" }],
    prompt: MIDDLE, n_predict: 8, top_k: 40, top_p: 0.99, stream: false,
    samplers: ["top_k", "top_p", "infill"], cache_prompt: true, n_indent: 2, t_max_prompt_ms: 500,
    t_max_predict_ms: 1000, seed: 1,
  }));
  for (const name of ["prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms",
    "predicted_per_second"]) {
    assert.equal(typeof read.timings[name], "number", name);
  }
  assert.equal(typeof read.tokens_cached, "number");
  assert.equal(read.truncated, false);
  assert.equal(read.stop, true);
  const listed = await answer(await server.fetch(`${server.url}/v1/models`));
  assert.ok(listed.data[0].id);
  assert.equal((await server.fetch(`${server.url}/health`)).status, 200);
  const slots = await answer(await server.fetch(`${server.url}/slots`));
  assert.ok(slots.every((slot) => !slot.is_processing));
});

test("a stream of /completion adds up", async () => {
  const body = { prompt: PREFIX, n_predict: 10, seed: 3, return_tokens: true };
  const whole = await answer(await server.post("/completion", body));
  const events = (await (await server.post("/completion", { ...body, stream: true })).text())
    .split("\n\n").filter((event) => event.startsWith("data: "))
    .map((event) => JSON.parse(event.slice(6)));
  assert.equal(events.map((event) => event.content).join(""), whole.content);
  assert.deepEqual(events.flatMap((event) => event.tokens), whole.tokens);
  assert.ok(events.slice(0, -1).every((event) => !event.stop) && events.at(-1).stop);
  // The same at an address that the document has for OpenAI's clients alone.
  const other = await fetch(`${server.url}/completions`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.equal((await answer(other)).content, whole.content);
});

test("Zed finds its provider's facts", async () => {
  const models = await answer(await server.fetch(`${server.url}/v1/models`));
  const { id, meta } = models.data[0];
  const props = await answer(await server.fetch(`${server.url}/props?model=${encodeURIComponent(id)}`));
  assert.equal(props.default_generation_settings.n_ctx, meta.n_ctx);
  assert.equal(props.modalities.vision, false);
  assert.equal(typeof props.chat_template_caps.supports_tools, "boolean");
});

// Its prompt has the marks as text, which is only text unless the request says otherwise.
test("Zed's edit prediction is served with parse_special", async () => {
  const name = (await answer(await server.fetch(`${server.url}/tokenizer_info`))).bos_token;
  const body = {
    prompt: `${name}Once upon a time`, max_tokens: 1, echo: true, logprobs: 0, add_special_tokens: false,
    stop: Array.from({ length: 14 }, (_, i) => `<stop ${i}>`),
  };
  const labels = async (more) =>
    (await answer(await server.post("/v1/completions", { ...body, ...more }))).choices[0].logprobs.tokens;
  assert.equal((await labels({ parse_special: true }))[0], name);
  assert.notEqual((await labels({}))[0], name);
});

test("Continue's suffix is a gap, in two dialects", async () => {
  const ids = await prompt(PREFIX, SUFFIX, "", [], false);
  const { text } = await server.generate({
    prompt: ids, max_tokens: 9, temperature: 0, top_k: 0, top_p: 1, min_p: 0 });
  const ollama = await answer(await server.post("/api/generate", {
    model: "any", prompt: PREFIX, suffix: SUFFIX, stream: false, raw: false,
    options: { temperature: 0, num_predict: 9 } }));
  assert.equal(ollama.response, text);
  const openai = await answer(await server.post("/v1/completions", {
    prompt: PREFIX, suffix: SUFFIX, max_tokens: 9, temperature: 0 }));
  assert.equal(openai.choices[0].text, text);
});

test("a model without marks says so", async () => {
  for (const [path, body] of [
    ["/infill", { input_prefix: "a", input_suffix: "b" }],
    ["/v1/completions", { prompt: "a", suffix: "b" }],
    ["/api/generate", { model: "any", prompt: "a", suffix: "b" }],
  ]) {
    const response = await plain.post(path, body);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /fills no gaps/);
  }
});
