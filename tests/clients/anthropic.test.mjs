// The @anthropic-ai/sdk package and @ai-sdk/anthropic: messages, streams as their accumulators put
// them together, tools, structured output, errors.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { PROMPT, SAMPLING, collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";
import { rain, startTooled } from "./tooled.mjs";

let server, client, tooled, caller;
const clientOf = (of, options = {}) =>
  new Anthropic({ baseURL: of.url, apiKey: "any", fetch: of.fetch, maxRetries: 0, ...options });
before(async () => {
  server = await Server.start();
  client = clientOf(server);
  tooled = await startTooled();
  caller = clientOf(tooled);
});
after(async () => {
  await server.stop();
  await tooled.stop();
});

const model = "lockstep-tales";
const messages = [{ role: "user", content: PROMPT }];
const request = { model, messages, max_tokens: 20, seed: 3 };
const generate = (fields) =>
  server.generate({ prompt: PROMPT, max_tokens: 20, seed: 3, ...SAMPLING, ...fields });
const textOf = (message) =>
  joined(message.content.filter((block) => block.type === "text").map((block) => block.text));
const callsOf = (message) =>
  message.content
    .filter((block) => block.type === "tool_use")
    .map(({ name, input }) => [name, input]);

const WEATHER = {
  type: "object",
  properties: {
    city: { enum: ["Bremen", "Hameln"] },
    days: { type: "integer", minimum: 1, maximum: 7 },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const isWeather = ({ city, days }) =>
  ["Bremen", "Hameln"].includes(city) && Number.isInteger(days) && days >= 1 && days <= 7;
const weather = { name: "get_weather", description: "Tells it.", input_schema: WEATHER };
const now = { name: "now", input_schema: { type: "object", properties: {}, additionalProperties: false } };

test("@anthropic-ai/sdk [basic]: a message is what /generate says", async () => {
  const { data, request_id } = await client.messages.create(request).withResponse();
  const expected = await generate({});
  assert.equal(textOf(data), expected.text);
  assert.equal(data.stop_reason, "max_tokens");
  assert.equal(data.stop_sequence, null);
  const { input_tokens, cache_read_input_tokens, output_tokens } = data.usage;
  assert.equal(input_tokens + cache_read_input_tokens, expected.usage.prompt_tokens);
  assert.equal(output_tokens, 20);
  assert.match(request_id, /^req-/);
});

test("@anthropic-ai/sdk [stream]: a stream adds up to the whole message", async () => {
  const whole = await client.messages.create(request);
  const texts = [];
  const stream = client.messages.stream(request).on("text", (text) => texts.push(text));
  const message = await stream.finalMessage();
  assert.equal(joined(texts), textOf(whole));
  assert.deepEqual(message.content, whole.content);
  assert.equal(message.stop_reason, whole.stop_reason);
  assert.equal(message.usage.output_tokens, 20);
  const types = (await collect(await client.messages.create({ ...request, stream: true }))).map(
    (event) => event.type,
  );
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
});

test("@anthropic-ai/sdk [basic]: a stop sequence is told", async () => {
  const fields = { ...request, max_tokens: 60, stop_sequences: ["zzz", " a"] };
  const message = await client.messages.create(fields);
  assert.equal(message.stop_reason, "stop_sequence");
  assert.equal(message.stop_sequence, " a");
  assert.equal(textOf(message), (await generate({ max_tokens: 60, stop: [" a"] })).text);
  const streamed = await client.messages.stream(fields).finalMessage();
  assert.equal(streamed.stop_sequence, " a");
});

test("@anthropic-ai/sdk [basic]: tokens are counted as they are read, and found again", async () => {
  const messages = [{ role: "user", content: "There was once a king who had a daughter. ".repeat(9) }];
  const { input_tokens } = await client.messages.countTokens({ model, messages });
  const warm = await client.messages.create({ ...request, messages, max_tokens: 0 });
  assert.deepEqual(warm.content, []);
  assert.equal(warm.usage.output_tokens, 0);
  assert.equal(warm.usage.input_tokens + warm.usage.cache_read_input_tokens, input_tokens);
  const { usage } = await client.messages.create({ ...request, messages });
  assert.equal(usage.input_tokens + usage.cache_read_input_tokens, input_tokens);
  assert.ok(usage.cache_read_input_tokens > input_tokens - 20);
});

test("@anthropic-ai/sdk [tools]: calls have input of the schema, whole and streamed", async () => {
  for (const seed of [1, 2, 3]) {
    const fields = { ...request, seed, temperature: 1.5, max_tokens: 300, tools: [weather, now] };
    const choices = [
      { type: "any", disable_parallel_tool_use: true },
      { type: "tool", name: "get_weather" },
    ];
    for (const tool_choice of choices) {
      const whole = await caller.messages.create({ ...fields, tool_choice });
      assert.equal(whole.stop_reason, "tool_use");
      assert.equal(callsOf(whole).length, 1);
      for (const [name, input] of callsOf(whole)) {
        assert.ok(name === "now" || isWeather(input), JSON.stringify(input));
      }
      if (tool_choice.name) assert.equal(callsOf(whole)[0][0], "get_weather");
      const streamed = await caller.messages.stream({ ...fields, tool_choice }).finalMessage();
      assert.deepEqual(callsOf(streamed), callsOf(whole));
      assert.equal(streamed.stop_reason, "tool_use");
    }
  }
});

test("@anthropic-ai/sdk [tools]: a conversation goes on after a call, by the client's own loop", async () => {
  const asked = [];
  const runner = caller.beta.messages.toolRunner({
    ...request,
    max_tokens: 100,
    max_iterations: 3,
    tool_choice: { type: "tool", name: "get_weather" },
    tools: [
      betaTool({
        name: "get_weather",
        description: "Tells it.",
        inputSchema: WEATHER,
        run: (input) => {
          asked.push(input);
          return "rain";
        },
      }),
    ],
  });
  const answers = await collect(runner);
  assert.equal(answers.length, 3);
  assert.ok(asked.length >= 2 && asked.every(isWeather));
});

test("@anthropic-ai/sdk [tools]: what was answered can be sent back, beside results in any form", async () => {
  const fields = { ...request, max_tokens: 100, tools: [weather] };
  const first = await caller.messages.create({ ...fields, tool_choice: { type: "any" } });
  const results = first.content
    .filter((block) => block.type === "tool_use")
    .map(({ id }) => ({
      type: "tool_result",
      tool_use_id: id,
      content: [{ type: "text", text: "rain" }],
      cache_control: { type: "ephemeral" },
    }));
  const answer = await caller.messages.create({
    ...fields,
    messages: [
      ...messages,
      { role: "assistant", content: first.content },
      { role: "user", content: [...results, { type: "text", text: "And then?" }] },
    ],
  });
  assert.ok(answer.usage.cache_read_input_tokens > 0);
});

test("@anthropic-ai/sdk [structured]: an answer is of the schema that it is asked for", async () => {
  for (const seed of [1, 2, 3]) {
    const message = await client.messages.parse({
      ...request,
      seed,
      max_tokens: 200,
      temperature: 1.5,
      output_config: { format: jsonSchemaOutputFormat(WEATHER) },
    });
    // The client takes the bounds of numbers out of the schema.
    const { city, days } = message.parsed_output;
    assert.ok(WEATHER.properties.city.enum.includes(city) && Number.isInteger(days));
  }
});

test("@anthropic-ai/sdk [errors]: errors are of the client's classes", async () => {
  const refused = (fields, type, says) =>
    assert.rejects(client.messages.create({ ...request, ...fields }), (error) => {
      assert.ok(error instanceof type, `${error}`);
      assert.match(error.message, says);
      assert.ok(error.requestID);
      return true;
    });
  await refused({ max_tokens: undefined }, Anthropic.BadRequestError, /max_tokens is missing/);
  await refused({ temperature: -1 }, Anthropic.BadRequestError, /temperature/);
  await refused(
    { messages: [{ role: "user", content: "a ".repeat(100000) }] },
    Anthropic.BadRequestError,
    /prompt is too long: \d+ tokens/,
  );
  const image = { type: "image", source: { type: "url", url: "https://example.org/a.png" } };
  await refused({ messages: [{ role: "user", content: [image] }] }, Anthropic.BadRequestError, /image/);
  const keyed = await Server.start("--api-key", "secret");
  for (const options of [{ apiKey: "wrong" }, { apiKey: null, authToken: "wrong" }]) {
    await assert.rejects(
      clientOf(keyed, options).messages.create(request),
      (error) =>
        error instanceof Anthropic.AuthenticationError && error.type === "authentication_error",
    );
  }
  for (const options of [{ apiKey: "secret" }, { apiKey: null, authToken: "secret" }]) {
    assert.equal((await clientOf(keyed, options).messages.create(request)).role, "assistant");
  }
  await keyed.stop();
});

test("@anthropic-ai/sdk [errors]: a full queue is a RateLimitError that says when to come again", async () => {
  const small = await Server.start("--sessions", 1, "--queue", 1, "--isa", "scalar");
  const hasty = clientOf(small);
  const fields = { ...request, max_tokens: 60, ignore_eos: true };
  const refused = [];
  await Promise.all(
    Array.from({ length: 6 }, () => hasty.messages.create(fields).catch((e) => refused.push(e))),
  );
  assert.ok(refused.length >= 1);
  for (const error of refused) {
    assert.ok(error instanceof Anthropic.RateLimitError, `${error}`);
    assert.equal(error.type, "rate_limit_error");
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
  }
  const patient = clientOf(small, { maxRetries: 20 });
  await Promise.all(Array.from({ length: 4 }, () => patient.messages.create(fields)));
  await small.stop();
});

test("@anthropic-ai/sdk [cancel]: a stream that is left frees its session", async () => {
  const plain = clientOf(server, { fetch }); // reads no copy
  const stream = plain.messages.stream({ ...request, max_tokens: 400, ignore_eos: true });
  for await (const event of stream) {
    if (event.type === "content_block_delta") break;
  }
  stream.abort();
  const idle = async () => (await (await fetch(`${server.url}/readyz`)).json()).running === 0;
  for (let i = 0; i < 100 && !(await idle()); ++i) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(await idle());
});

const provider = (of) => createAnthropic({ baseURL: `${of.url}/v1`, apiKey: "any", fetch: of.fetch });
const settings = { maxOutputTokens: 20, maxRetries: 0 };

test("@ai-sdk/anthropic [basic, stream]: text, whole and streamed", async () => {
  const fields = { model: provider(server)(model), messages, temperature: 0, ...settings };
  const expected = await generate({ temperature: 0 });
  const whole = await generateText(fields);
  assert.equal(whole.text, expected.text);
  assert.equal(whole.finishReason, "length");
  const stream = streamText(fields);
  assert.equal(joined(await collect(stream.textStream)), expected.text);
  assert.equal((await stream.usage).outputTokens, 20);
});

test("@ai-sdk/anthropic [tools]: tools are run and their results sent back", async () => {
  const runs = [];
  const tools = rain(tool, jsonSchema(WEATHER), runs);
  const fields = { model: provider(tooled)(model), prompt: PROMPT, tools, maxRetries: 0,
    maxOutputTokens: 400, toolChoice: { type: "tool", toolName: "get_weather" } };
  const two = await generateText({ ...fields, stopWhen: stepCountIs(2) });
  assert.equal(two.steps.length, 2);
  assert.equal(two.steps[0].finishReason, "tool-calls");
  const stream = streamText({ ...fields, stopWhen: stepCountIs(1) });
  await stream.consumeStream();
  assert.equal((await stream.toolCalls).length, 1);
  assert.ok(runs.length >= 3 && runs.every(isWeather));
});

test("@ai-sdk/anthropic [errors]: errors are of the client's class", async () => {
  await assert.rejects(
    generateText({ model: provider(server)(model), prompt: "a ".repeat(100000), maxRetries: 0 }),
    (error) => APICallError.isInstance(error) && error.statusCode === 400 &&
      /prompt is too long/.test(error.message),
  );
});

test("the answer goes on with the assistant's last turn", async () => {
  const turns = [...messages, { role: "assistant", content: "There lived" }];
  const { prompt } = await (await server.post("/apply-template", { messages: turns })).json();
  assert.match(prompt, /There lived$/);
  const expected = await generate({ prompt });
  assert.equal(textOf(await client.messages.create({ ...request, messages: turns })), expected.text);
  const stream = client.messages.stream({ ...request, messages: turns });
  assert.equal(textOf(await stream.finalMessage()), expected.text);
  const spaced = [...messages, { role: "assistant", content: "there " }];
  await assert.rejects(client.messages.create({ ...request, messages: spaced }), Anthropic.BadRequestError);
});
