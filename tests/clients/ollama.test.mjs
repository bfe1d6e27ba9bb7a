// ollama, @langchain/ollama and ollama-ai-provider-v2, and what a page for chats asks at its start.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AIMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOllama, Ollama as OllamaText } from "@langchain/ollama";
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { Ollama } from "ollama";
import { createOllama } from "ollama-ai-provider-v2";
import { PROMPT, collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";
import { rain, startTooled } from "./tooled.mjs";

let server, client, tooled;
before(async () => {
  server = await Server.start();
  client = new Ollama({ host: server.url, fetch: server.fetch });
  tooled = await startTooled();
});
after(async () => {
  await server.stop();
  await tooled.stop();
});

const model = "lockstep-tales";
const messages = [{ role: "user", content: PROMPT }];
const options = { seed: 3, num_predict: 20 };
// Ollama's defaults, in the words of /generate.
const SAMPLING = { temperature: 0.8, top_k: 40, top_p: 0.9, min_p: 0, seed: 3, max_tokens: 20 };
const rendered = async (server, conversation) =>
  (await (await server.post("/apply-template", { messages: conversation })).json()).prompt;
const generate = async (fields = {}) =>
  server.generate({ prompt: await rendered(server, messages), ...SAMPLING, ...fields });

const WEATHER = {
  type: "object",
  properties: {
    city: { type: "string", enum: ["Bremen", "Hameln"] },
    days: { type: "integer", minimum: 1, maximum: 7 },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const assertWeather = ({ city, days, ...rest }) => {
  assert.ok(["Bremen", "Hameln"].includes(city));
  assert.ok(Number.isInteger(days) && days >= 1 && days <= 7);
  assert.deepEqual(rest, {});
};
const weather = {
  type: "function",
  function: { name: "get_weather", description: "Tells it.", parameters: WEATHER },
};
// The embedded model calls nothing of its own accord, and the clients have no field for the choice:
// it is put into what they send.
const insistent = (input, init) =>
  tooled.fetch(input, {
    ...init,
    body: JSON.stringify({ ...JSON.parse(init.body), tool_choice: "required", parallel_tool_calls: false }),
  });

test("what a page for chats asks at its start, and when it leaves", async () => {
  const get = async (path) => (await server.fetch(server.url + path)).json();
  for (const method of ["GET", "HEAD"]) {
    const root = await fetch(server.url, { method });
    assert.equal(root.status, 200);
    assert.equal(await root.text(), method === "GET" ? "Ollama is running" : "");
  }
  assert.match((await get("/api/version")).version, /^\d+\.\d+\.\d+$/);
  const [listed] = (await get("/api/tags")).models;
  assert.equal(listed.name, `${model}:latest`);
  assert.equal(listed.digest.length, 64);
  const [running] = (await get("/api/ps")).models;
  assert.equal(running.model, listed.model);
  assert.ok(new Date(running.expires_at) > new Date());
  const shown = await (await server.post("/api/show", { model: listed.model })).json();
  const family = shown.model_info["general.architecture"];
  assert.equal(shown.model_info[`${family}.context_length`], running.context_length);
  assert.ok(shown.capabilities.includes("completion"));
  const answer = await server.post("/api/chat", {
    model: listed.model, messages, options, stream: true, keep_alive: "5m",
  });
  assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
  const lines = (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(joined(lines.map((line) => line.message.content)), (await generate()).text);
  assert.equal(lines.at(-1).done, true);
  const unloaded = await (await server.post("/api/generate", { model: listed.model, keep_alive: 0 })).json();
  assert.equal(unloaded.done_reason, "unload");
});

test("ollama: the model's lists", async () => {
  const { models } = await client.list();
  assert.equal(models[0].details.quantization_level, "Q8_0");
  assert.equal(models[0].details.parameter_size, "5.77M");
  assert.equal((await client.ps()).models[0].name, models[0].name);
  const shown = await client.show({ model });
  assert.equal(shown.details.family, "llama");
  assert.ok(shown.model_info["general.parameter_count"] > 5e6);
  assert.equal((await client.pull({ model })).status, "success");
  const progress = await collect(await client.pull({ model, stream: true }));
  assert.equal(progress.at(-1).status, "success");
});

test("ollama [basic, stream]: chat and generate, whole and streamed, say what /generate says", async () => {
  const expected = await generate();
  for (const ask of [
    (stream) => client.chat({ model, messages, options, stream }),
    (stream) => client.generate({ model, prompt: PROMPT, options, stream }),
  ]) {
    const textOf = (part) => part.message?.content ?? part.response;
    const whole = await ask(false);
    assert.equal(textOf(whole), expected.text);
    assert.equal(whole.done_reason, "length");
    assert.equal(whole.prompt_eval_count, expected.usage.prompt_tokens);
    assert.equal(whole.eval_count, 20);
    assert.ok(whole.total_duration >= whole.eval_duration && whole.eval_duration > 0);
    const parts = await collect(await ask(true));
    assert.equal(joined(parts.map(textOf)), expected.text);
    assert.ok(parts.at(-1).done && parts.slice(0, -1).every((part) => !part.done));
    assert.equal(parts.at(-1).eval_count, 20);
  }
});

test("ollama: raw is the prompt as it is, and the context goes on", async () => {
  const raw = await client.generate({ model, prompt: PROMPT, raw: true, options });
  assert.equal(raw.response, (await generate({ prompt: PROMPT })).text);
  const first = await client.generate({ model, prompt: PROMPT, options });
  const { tokens } = await generate();
  assert.deepEqual(first.context.slice(-20), tokens);
  const second = await client.generate({ model, prompt: "And then", context: first.context, options });
  assert.ok(second.prompt_eval_count > first.context.length);
});

test("ollama [structured]: structured output", async () => {
  for (const seed of [1, 2, 3]) {
    const fields = { model, messages, options: { seed, temperature: 1.5 } };
    const { message } = await client.chat({ ...fields, format: WEATHER });
    assertWeather(JSON.parse(message.content));
    const { response } = await client.generate({ ...fields, prompt: PROMPT, format: WEATHER });
    assertWeather(JSON.parse(response));
  }
});

test("ollama: logprobs", async () => {
  const expected = await generate({ logprobs: 2 });
  const { logprobs } = await client.chat({ model, messages, options, logprobs: true, top_logprobs: 2 });
  assert.deepEqual(logprobs.map((l) => l.logprob), expected.logprobs.map((l) => l.logprob));
  assert.ok(logprobs.every((l) => l.top_logprobs.length === 2));
});

test("ollama [tools]: a tool is called, and its answer taken back", async () => {
  const caller = new Ollama({ host: tooled.url, fetch: insistent });
  const fields = { model, messages, tools: [weather], options: { seed: 5, temperature: 1.5 } };
  const { message, done_reason } = await caller.chat(fields);
  assert.equal(done_reason, "stop");
  assert.equal(message.content, "");
  const [call] = message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assertWeather(call.function.arguments);
  const parts = await collect(await caller.chat({ ...fields, stream: true }));
  const calls = parts.flatMap((part) => part.message.tool_calls ?? []);
  assert.deepEqual(calls.map((c) => c.function), message.tool_calls.map((c) => c.function));
  const free = new Ollama({ host: tooled.url, fetch: tooled.fetch });
  const history = [...messages, message, { role: "tool", tool_name: "get_weather", content: "rain" }];
  const next = await free.chat({ model, messages: history, tools: [weather], options });
  const openai = [
    messages[0],
    {
      role: "assistant",
      tool_calls: [
        { id: call.id, function: { name: "get_weather", arguments: JSON.stringify(call.function.arguments) } },
      ],
    },
    { role: "tool", tool_call_id: call.id, content: "rain" },
  ];
  const same = await tooled.post("/v1/chat/completions", {
    messages: openai, tools: [weather], ...SAMPLING,
  });
  assert.equal(next.message.content, (await same.json()).choices[0].message.content ?? "");
});

test("ollama [errors]: errors are sentences, with their status", async () => {
  const cases = [
    [{ model, messages: [{ role: "user", content: "x", images: ["aGk="] }] }, /images/],
    [{ model, messages: [{ role: "user", content: "a ".repeat(20000) }] }, /context/],
    [{ model, messages, options: { temperature: "hot" } }, /options\.temperature/],
  ];
  for (const [request, says] of cases) {
    for (const stream of [false, true]) {
      await assert.rejects(client.chat({ ...request, stream }), (error) => {
        assert.equal(error.name, "ResponseError");
        assert.equal(error.status_code, 400);
        assert.match(error.message, says);
        return true;
      });
    }
  }
  const unchecked = new Ollama({ host: server.url }); // of what is not in openapi.json
  await assert.rejects(unchecked.embed({ model, input: "x" }), /makes no vectors/);
  await assert.rejects(unchecked.delete({ model }), /not supported/);
  const strict = await Server.start("--strict-model", "--api-key", "secret");
  try {
    const keyed = (key) =>
      new Ollama({ host: strict.url, fetch: strict.fetch, headers: { authorization: `Bearer ${key}` } });
    await assert.rejects(keyed("wrong").list(), (error) => error.status_code === 401);
    await assert.rejects(keyed("secret").chat({ model: "llama3.2", messages }), (error) => {
      assert.equal(error.status_code, 404);
      assert.match(error.message, /llama3\.2/);
      return true;
    });
    await assert.rejects(keyed("secret").pull({ model: "llama3.2" }), /fetches no models/);
    const whole = await keyed("secret").chat({ model: `${model}:latest`, messages, options });
    assert.equal(whole.message.content, (await generate()).text);
  } finally {
    await strict.stop();
  }
});

test("ollama [cancel]: a stream that is aborted ends", async () => {
  const stream = await client.chat({ model, messages, stream: true, options: { num_predict: 400 } });
  await assert.rejects(
    (async () => {
      for await (const part of stream) {
        assert.ok(part.message);
        stream.abort();
      }
    })(),
    { name: "AbortError" },
  );
});

test("@langchain/ollama [basic, stream, structured, tools]: all of it", async () => {
  const common = { model, baseUrl: server.url, fetch: server.fetch, seed: 3, numPredict: 20,
    temperature: 0.8, topK: 40, topP: 0.9 };
  const expected = await generate();
  const chat = new ChatOllama(common);
  const answer = await chat.invoke([new HumanMessage(PROMPT)]);
  assert.equal(answer.content, expected.text);
  assert.equal(answer.usage_metadata.output_tokens, 20);
  const chunks = await collect(await chat.stream([new HumanMessage(PROMPT)]));
  assert.equal(joined(chunks.map((chunk) => chunk.content)), expected.text);
  const text = await new OllamaText(common).invoke(PROMPT); // which has no seed
  assert.ok(text.length > 0);
  const structured = new ChatOllama({ ...common, numPredict: 300 }).withStructuredOutput(WEATHER, {
    method: "jsonSchema",
  });
  // It sends the schema as a tool's, which binds no answer, and asks for any JSON.
  assert.equal(typeof (await structured.invoke(PROMPT)), "object");

  const bound = new ChatOllama({ ...common, baseUrl: tooled.url, fetch: insistent, numPredict: 200 });
  const called = await bound.bindTools([weather]).invoke(PROMPT);
  assert.equal(called.tool_calls[0].name, "get_weather");
  assertWeather(called.tool_calls[0].args);
  const free = new ChatOllama({ ...common, baseUrl: tooled.url, fetch: tooled.fetch });
  const next = await free.bindTools([weather]).invoke([
    new HumanMessage(PROMPT),
    new AIMessage({ content: "", tool_calls: called.tool_calls }),
    new ToolMessage({ content: "rain", tool_call_id: called.tool_calls[0].id }),
  ]);
  assert.ok(next.content.length > 0);
});

test("ollama-ai-provider-v2 [basic, stream, structured, tools, errors]: all of it", async () => {
  const provider = createOllama({ baseURL: `${server.url}/api`, fetch: server.fetch });
  // The provider passes on these options alone.
  const within = (more) => ({ providerOptions: { ollama: { options: { ...options, ...more } } } });
  const fields = { model: provider(model), prompt: PROMPT, maxRetries: 0, ...within({}) };
  const expected = await generate();
  const { text, finishReason, usage } = await generateText(fields);
  assert.equal(text, expected.text);
  assert.equal(finishReason, "length");
  assert.equal(usage.outputTokens, 20);
  const stream = streamText(fields);
  assert.equal(joined(await collect(stream.textStream)), expected.text);
  const { object } = await generateObject({
    ...fields, ...within({ num_predict: 60 }), schema: jsonSchema(WEATHER),
  });
  assertWeather(object);

  const runs = [];
  const tools = rain(tool, jsonSchema(WEATHER), runs);
  const caller = createOllama({ baseURL: `${tooled.url}/api`, fetch: insistent });
  const asked = { model: caller(model), prompt: PROMPT, tools, maxRetries: 0,
    ...within({ num_predict: 400 }) };
  const once = await generateText({ ...asked, stopWhen: stepCountIs(2) });
  assert.equal(once.steps.length, 2);
  assert.equal(once.steps[0].toolCalls.length, 1);
  runs.forEach(assertWeather);
  const streamed = streamText({ ...asked, stopWhen: stepCountIs(1) });
  await streamed.consumeStream();
  assert.deepEqual(
    (await streamed.toolCalls).map((call) => call.input),
    once.steps[0].toolCalls.map((call) => call.input),
  );
  await assert.rejects(generateText({ ...fields, prompt: "a ".repeat(20000) }), (error) => {
    assert.ok(APICallError.isInstance(error));
    assert.equal(error.statusCode, 400);
    return true;
  });
});

test("the answer goes on with the assistant's last message", async () => {
  const turns = [...messages, { role: "assistant", content: "There lived" }];
  const expected = await generate({ prompt: await rendered(server, turns) });
  const answer = await client.chat({ model, messages: turns, options });
  assert.equal(answer.message.content, expected.text);
});
