// /v1/responses with the clients that have it by default: the openai package, whose accumulator of
// streams throws at any event that is out of place, Vercel's ai, langchain and OpenAI's agents.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { Agent, OpenAIProvider, Runner, tool as agentTool } from "@openai/agents";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { PROMPT, SAMPLING, collect, joined } from "../reference.mjs";
import { Server } from "../server.mjs";
import { rain, startTooled } from "../tooled.mjs";

const HERMES = `{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>
{% endif %}{% for m in messages %}{{ m.content or "" }}{% for c in m.tool_calls or [] %}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}
{% endfor %}`;
let server, client, tooled, caller;
const clientOf = (of, options = {}) =>
  new OpenAI({ baseURL: `${of.url}/v1`, apiKey: "any", fetch: of.fetch, maxRetries: 0, ...options });
before(async () => {
  server = await Server.start();
  client = clientOf(server);
  tooled = await startTooled(HERMES);
  caller = clientOf(tooled);
});
after(async () => {
  await server.stop();
  await tooled.stop();
});

const model = "lockstep-tales";
const request = { model, input: PROMPT, max_output_tokens: 20 };
const Weather = z.object({
  city: z.enum(["Bremen", "Hameln"]),
  days: z.number().int().min(1).max(7),
});
const weather = zodResponsesFunction({ name: "get_weather", parameters: Weather });
const Animal = z.object({
  kind: z.enum(["fox", "bear", "goose"]),
  legs: z.number().int().min(0).max(9),
  clever: z.boolean(),
});
const text = { format: zodTextFormat(Animal, "animal") };

// What the native route says to the prompt that the messages become.
async function expected(messages, fields = {}) {
  const { prompt } = await (await server.post("/apply-template", { messages })).json();
  return server.generate({ prompt, max_tokens: 20, seed: 3, ...SAMPLING, ...fields });
}
const asked = [{ role: "user", content: PROMPT }];

test("openai [basic]: a response is what /generate says", async () => {
  const native = await expected(asked);
  const { data, request_id } = await client.responses.create({ ...request, seed: 3 }).withResponse();
  assert.equal(data.output_text, native.text);
  assert.equal(data.status, native.finish_reason === "length" ? "incomplete" : "completed");
  assert.equal(data.usage.input_tokens, native.usage.prompt_tokens);
  assert.equal(data.usage.output_tokens, native.usage.completion_tokens);
  assert.match(request_id, /^req-/);
  const { prompt } = await (await server.post("/apply-template", { messages: asked })).json();
  const counted = await client.responses.inputTokens.count({ model, input: PROMPT });
  assert.equal(counted.input_tokens, native.usage.prompt_tokens, prompt);
});

test("openai [basic]: a conversation is what a chat is", async () => {
  const input = [
    { role: "user", content: "Once upon a time." },
    { type: "message", id: "msg_1", status: "completed", role: "assistant",
      content: [{ type: "output_text", text: "There was a king.", annotations: [] }] },
    { role: "user", content: [{ type: "input_text", text: "One day" }] },
  ];
  const response = await client.responses.create({ ...request, input, instructions: "Tell.", seed: 3 });
  const native = await expected([
    { role: "system", content: "Tell." },
    { role: "user", content: "Once upon a time." },
    { role: "assistant", content: "There was a king." },
    { role: "user", content: "One day" },
  ]);
  assert.equal(response.output_text, native.text);
});

test("openai [stream]: a stream adds up to the response, by the strict accumulator", async () => {
  for (const seed of [1, 2, 3]) {
    const whole = await client.responses.create({ ...request, seed });
    const stream = client.responses.stream({ ...request, seed });
    const deltas = [], numbers = [];
    stream.on("response.output_text.delta", (event) => deltas.push(event.delta));
    stream.on("event", (event) => numbers.push(event.sequence_number));
    const final = await stream.finalResponse();
    assert.equal(final.output_text, whole.output_text);
    assert.equal(joined(deltas), whole.output_text);
    assert.deepEqual(numbers, [...numbers.keys()]);
    assert.equal(final.status, whole.status);
    const events = await collect(await client.responses.create({ ...request, seed, stream: true }));
    assert.equal(events.at(-1).type, `response.${whole.status}`);
    assert.equal(events.at(-1).response.usage.output_tokens, whole.usage.output_tokens);
  }
});

test("openai: logprobs", async () => {
  const fields = { ...request, seed: 3, top_logprobs: 2, include: ["message.output_text.logprobs"] };
  const whole = await client.responses.create(fields);
  const { logprobs } = whole.output[0].content[0];
  assert.equal(joined(logprobs.map((l) => l.token)), whole.output_text);
  assert.equal(logprobs[0].top_logprobs.length, 2);
  const final = await client.responses.stream(fields).finalResponse();
  assert.deepEqual(final.output[0].content[0].logprobs, logprobs);
});

test("openai [structured]: the parse helpers read what the schema says", async () => {
  const fields = { model, input: PROMPT, text, temperature: 1.5 };
  for (const seed of [1, 2, 3]) {
    const whole = await client.responses.parse({ ...fields, seed });
    assert.deepEqual(whole.output_parsed, Animal.parse(JSON.parse(whole.output_text)));
    const streamed = await client.responses.stream({ ...fields, seed }).finalResponse();
    assert.deepEqual(streamed.output_parsed, whole.output_parsed);
  }
});

test("openai [tools]: calls of tools, and their results sent back", async () => {
  for (const seed of [1, 2, 3]) {
    const fields = { model, input: PROMPT, tools: [weather], tool_choice: "required", seed,
      temperature: 1.5, parallel_tool_calls: false };
    const whole = await caller.responses.parse(fields);
    const [call] = whole.output;
    assert.equal(call.type, "function_call");
    assert.equal(call.status, "completed");
    Weather.parse(call.parsed_arguments);
    const streamed = await caller.responses.stream(fields).finalResponse();
    assert.deepEqual(streamed.output[0].parsed_arguments, call.parsed_arguments);
    const next = await caller.responses.create({
      model,
      input: [...asked, ...whole.output,
        { type: "function_call_output", call_id: call.call_id, output: "rain" }],
      tools: [weather], tool_choice: "none", seed, max_output_tokens: 20,
    });
    assert.equal(next.output[0].type, "message");
    const { function: { strict, ...described } } = { function: { name: "get_weather" } };
    assert.equal(next.output_text, (await caller.chat.completions.create({
      model, seed, max_tokens: 20, tool_choice: "none",
      tools: [{ type: "function", function: { ...described, parameters: weather.parameters } }],
      messages: [...asked,
        { role: "assistant", content: null, tool_calls: [{ id: call.call_id, type: "function",
          function: { name: call.name, arguments: call.arguments } }] },
        { role: "tool", tool_call_id: call.call_id, content: "rain" }],
    })).choices[0].message.content);
  }
});

test("openai [tools]: tools in a namespace, of OpenAI's own, and custom ones", async () => {
  const { name, parameters } = weather;
  const tools = [
    { type: "namespace", name: "sky", description: "Of the sky.",
      tools: [{ type: "function", name, parameters, strict: true }] },
    { type: "web_search" },
    { type: "custom", name: "note", description: "Any text." },
  ];
  const fields = { model, input: PROMPT, tools, seed: 2, temperature: 1.5, max_output_tokens: 200,
    parallel_tool_calls: false };
  const named = { ...fields, tool_choice: { type: "function", name } };
  const whole = await caller.responses.create(named);
  assert.equal(whole.output[0].namespace, "sky");
  assert.equal(whole.output[0].name, name);
  Weather.parse(JSON.parse(whole.output[0].arguments));
  const streamed = await caller.responses.stream(named).finalResponse();
  assert.equal(streamed.output[0].arguments, whole.output[0].arguments);
  const note = { ...fields, tool_choice: { type: "custom", name: "note" } };
  const written = await caller.responses.create(note);
  assert.equal(written.output[0].type, "custom_tool_call");
  const again = await caller.responses.stream(note).finalResponse();
  assert.equal(again.output[0].input, written.output[0].input);
});

test("openai: a call that is cut is incomplete", async () => {
  const fields = { model, input: PROMPT, tools: [weather], tool_choice: "required", seed: 1,
    max_output_tokens: 8 };
  const whole = await caller.responses.create(fields);
  assert.equal(whole.status, "incomplete");
  assert.equal(whole.incomplete_details.reason, "max_output_tokens");
  const streamed = await caller.responses.stream(fields).finalResponse();
  assert.equal(streamed.status, "incomplete");
  assert.deepEqual(streamed.output.map((item) => item.status), whole.output.map((item) => item.status));
});

test("openai [errors]: errors have their class", async () => {
  const rejects = (fields, kind, param, code = null) =>
    assert.rejects(client.responses.create({ ...request, ...fields }), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.equal(error.param, param);
      assert.equal(error.code, code);
      return true;
    });
  const { BadRequestError, AuthenticationError } = OpenAI;
  await rejects({ previous_response_id: "resp_1" }, BadRequestError, "previous_response_id");
  await rejects({ background: true }, BadRequestError, "background");
  await rejects({ input: [{ type: "item_reference", id: "msg_unknown" }] }, BadRequestError, "input[0].id");
  await rejects({ input: [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }] },
    BadRequestError, "input[0].content[0].type");
  await rejects({ input: "word ".repeat(20000) }, BadRequestError, "input", "context_length_exceeded");
  await rejects({ input: "word ".repeat(20000), stream: true }, BadRequestError, "input",
    "context_length_exceeded");
  const locked = await Server.start("--api-key", "secret");
  const stranger = clientOf(locked);
  await assert.rejects(stranger.responses.create(request), AuthenticationError);
  await clientOf(locked, { apiKey: "secret" }).responses.create(request);
  await locked.stop();
});

test("openai [basic]: a response goes on with the one before", async () => {
  const first = await client.responses.create({ ...request, seed: 3 });
  const history = [...asked, { role: "assistant", content: first.output_text }];
  const native = await expected([...history, { role: "user", content: "One day" }]);
  const next = { ...request, seed: 3, input: "One day", previous_response_id: first.id };
  assert.equal((await client.responses.create(next)).output_text, native.text);
  const items = [{ role: "user", content: PROMPT }, { type: "item_reference", id: first.output[0].id },
    { role: "user", content: "One day" }];
  assert.equal((await client.responses.create({ ...request, seed: 3, input: items })).output_text, native.text);
  const unkept = await client.responses.create({ ...request, store: false });
  await assert.rejects(client.responses.create({ ...next, previous_response_id: unkept.id }),
    OpenAI.BadRequestError);
});

test("openai [basic]: a response can be asked for, with its input, and deleted", async () => {
  const first = await client.responses.create({ ...request, input: "One", metadata: { a: "b" } });
  const second = await client.responses.create({ ...request, input: "Two", previous_response_id: first.id });
  assert.deepEqual(await client.responses.retrieve(first.id), first);
  const items = [];
  for await (const item of client.responses.inputItems.list(second.id, { limit: 1, order: "asc" })) items.push(item);
  assert.deepEqual(items.map((item) => item.content[0].text), ["One", first.output_text, "Two"]);
  assert.equal(items[1].id, first.output[0].id);
  await client.responses.delete(first.id);
  for (const call of ["retrieve", "delete"]) await assert.rejects(client.responses[call](first.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.inputItems.list(first.id), OpenAI.NotFoundError);
  await assert.rejects(client.responses.retrieve(second.id, { stream: true }), OpenAI.BadRequestError);
});

test("openai [cancel]: a stream can be left", async () => {
  const stream = await client.responses.create({ ...request, max_output_tokens: 400, stream: true,
    ignore_eos: true });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  const waiting = client.responses.stream({ ...request, max_output_tokens: 400 });
  waiting.on("response.output_text.delta", () => waiting.abort());
  await assert.rejects(waiting.finalResponse(), OpenAI.APIUserAbortError);
});

// The clients leave a seed out, without which the model may call tools until its context is full.
const seeded = (of) => (url, init) =>
  of.fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), seed: 4 }) });
const providerOf = (of) =>
  createOpenAI({ baseURL: `${of.url}/v1`, apiKey: "any", fetch: seeded(of) });
const settings = { maxOutputTokens: 20, temperature: 1, maxRetries: 0 };

test("@ai-sdk/openai [basic, stream]: the default provider's text, whole and streamed", async () => {
  const from = { model: providerOf(server)(model), prompt: PROMPT, ...settings, temperature: 0 };
  const native = await expected(asked, { temperature: 0 });
  const whole = await generateText(from);
  assert.equal(whole.text, native.text);
  assert.equal(whole.finishReason, native.finish_reason);
  assert.equal(whole.usage.inputTokens, native.usage.prompt_tokens);
  const stream = streamText(from);
  assert.equal(joined(await collect(stream.textStream)), native.text);
  assert.equal(await stream.finishReason, native.finish_reason);
  assert.equal((await stream.usage).outputTokens, native.usage.completion_tokens);
});

test("@ai-sdk/openai [structured]: objects", async () => {
  const from = { model: providerOf(server)(model), prompt: PROMPT, maxRetries: 0,
    output: Output.object({ schema: Animal }) };
  assert.ok(Animal.parse((await generateText(from)).output));
  const stream = streamText(from);
  await stream.consumeStream();
  assert.ok(Animal.parse(await stream.output));
});

test("@ai-sdk/openai [tools]: tools are run and their results sent back", async () => {
  const runs = [];
  const tools = rain(tool, Weather, runs, (input) => Weather.parse(input));
  const from = { model: providerOf(tooled)(model), prompt: PROMPT, tools, ...settings,
    maxOutputTokens: 200, toolChoice: { type: "tool", toolName: "get_weather" } };
  const once = await generateText({ ...from, stopWhen: stepCountIs(2) });
  assert.equal(once.steps.length, 2);
  assert.equal(runs.length, 2);
  assert.equal(once.steps[0].finishReason, "tool-calls");
  const stream = streamText({ ...from, stopWhen: stepCountIs(2) });
  await stream.consumeStream();
  assert.equal((await stream.steps).length, 2);
  assert.equal(runs.length, 4);
});

// The provider sends references to items unless it is told not to.
test("@ai-sdk/openai [basic]: a second turn", async () => {
  const sent = [];
  const fetch = (url, init) => {
    sent.push(JSON.parse(init.body));
    return seeded(server)(url, init);
  };
  const provider = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", fetch });
  const first = [{ role: "user", content: PROMPT }];
  const once = await generateText({ model: provider(model), messages: first, ...settings });
  const messages = [...first, ...once.response.messages, { role: "user", content: "One day" }];
  const twice = await generateText({ model: provider(model), messages, ...settings });
  assert.equal(sent[1].input[1].type, "item_reference");
  const { prompt } = await (await server.post("/apply-template", { messages: [
    ...asked, { role: "assistant", content: once.text }, { role: "user", content: "One day" }] })).json();
  const native = await server.generate({ prompt, max_tokens: 20, seed: 4, ...SAMPLING });
  assert.equal(twice.text, native.text);
});

test("@ai-sdk/openai [errors]: errors", async () => {
  const from = { model: providerOf(server)(model), prompt: "word ".repeat(20000), ...settings };
  await assert.rejects(generateText(from), (error) => {
    assert.ok(APICallError.isInstance(error), `${error}`);
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /too long/);
    return true;
  });
});

const chatOf = (of, fields) =>
  new ChatOpenAI({ model, apiKey: "any", maxRetries: 0, useResponsesApi: true, temperature: 0,
    configuration: { baseURL: `${of.url}/v1`, fetch: of.fetch }, ...fields });

test("@langchain/openai [basic, stream]: useResponsesApi", async () => {
  const native = await expected(asked, { temperature: 0 });
  const chat = chatOf(server, { maxTokens: 20 });
  const answer = await chat.invoke(PROMPT);
  assert.equal(answer.text, native.text);
  assert.equal(answer.usage_metadata.output_tokens, native.usage.completion_tokens);
  const chunks = await collect(await chat.stream(PROMPT));
  const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
  assert.equal(whole.text, native.text);
  assert.equal(whole.usage_metadata.output_tokens, native.usage.completion_tokens);
  const animal = await chatOf(server).withStructuredOutput(Animal).invoke(PROMPT);
  assert.ok(Animal.parse(animal));
});

test("@langchain/openai [tools]: tools", async () => {
  const chat = chatOf(tooled).bindTools(
    [{ name: "get_weather", description: "Tells it.", schema: Weather }],
    { tool_choice: "get_weather" },
  );
  const answer = await chat.invoke(PROMPT);
  assert.equal(answer.tool_calls[0].name, "get_weather");
  Weather.parse(answer.tool_calls[0].args);
  const next = await chat.invoke([
    new HumanMessage(PROMPT),
    answer,
    new ToolMessage({ tool_call_id: answer.tool_calls[0].id, content: "rain" }),
  ]);
  assert.equal(next.tool_calls[0].name, "get_weather");
  const chunks = await collect(await chat.stream(PROMPT));
  const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
  assert.deepEqual(whole.tool_calls[0].args, answer.tool_calls[0].args);
});

test("@openai/agents [tools]: a tool is run, and the last answer is the output", async () => {
  const runs = [];
  const agent = new Agent({
    name: "Teller",
    instructions: "Tell tales.",
    model,
    // Reset after its use, so that the next answer is one of the form, which ends by itself.
    modelSettings: { toolChoice: "get_weather", parallelToolCalls: false, store: false },
    outputType: Animal,
    tools: [
      agentTool({
        name: "get_weather",
        description: "Tells it.",
        parameters: Weather,
        execute: (input) => {
          runs.push(Weather.parse(input));
          return "rain";
        },
      }),
    ],
  });
  const runner = new Runner({
    modelProvider: new OpenAIProvider({
      openAIClient: clientOf(tooled, { fetch: seeded(tooled) }),
      useResponses: true,
    }),
    tracingDisabled: true,
  });
  const result = await runner.run(agent, PROMPT, { maxTurns: 8 });
  assert.ok(runs.length >= 1);
  Animal.parse(result.finalOutput);
  const stream = await runner.run(agent, PROMPT, { maxTurns: 8, stream: true });
  for await (const event of stream) assert.ok(event.type);
  await stream.completed;
  Animal.parse(stream.finalOutput);
});
