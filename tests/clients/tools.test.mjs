// Tools, with the clients' own helpers: the embedded model, under a template that teaches the calls
// of Hermes, and, where it must call, does so with arguments of the schema at any temperature.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";
import { collect } from "./reference.mjs";
import { Server } from "./server.mjs";
import { rain } from "./tooled.mjs";
import { withTemplate } from "./template.mjs";

const TEMPLATES = {
  hermes: `{% if tools %}<tool_call>
{"name": <name>, "arguments": <object>}
</tool_call>{% endif %}
{% for m in messages %}{{ m.content or "" }}{% for c in m.tool_calls or [] %}
<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}
{% endfor %}`,
  llama3: `{% if tools %}Respond in the format {"name": function name, "parameters": object}
{% endif %}{% for m in messages %}{{ m.content or "" }}
{% endfor %}`,
  mistral: `{% for m in messages %}{{ m.content or "" }}{% if m.tool_calls %}[TOOL_CALLS][
{%- for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}]{% endif %}
{% endfor %}`,
};
const folder = mkdtempSync(join(tmpdir(), "lockstep-tools-"));
const servers = {};
before(async () => {
  const source = new URL("../../core/model/embedded/tales.gguf", import.meta.url).pathname;
  for (const [style, template] of Object.entries(TEMPLATES)) {
    const file = join(folder, `${style}.gguf`);
    withTemplate(source, file, template);
    servers[style] = await Server.start("--model", file);
  }
});
after(async () => {
  for (const server of Object.values(servers)) await server.stop();
  rmSync(folder, { recursive: true });
});

const model = "lockstep-tales";
const messages = [{ role: "user", content: "Once upon a time" }];
const Weather = z.object({
  city: z.enum(["Bremen", "Hameln"]),
  days: z.array(z.number().int().min(1).max(7)).max(3),
  exact: z.boolean(),
});
const weather = zodFunction({ name: "get_weather", parameters: Weather, description: "Tells it." });
const now = zodFunction({ name: "now", parameters: z.object({}) });
const clientOf = (style) =>
  new OpenAI({
    apiKey: "any",
    fetch: servers[style].fetch,
    maxRetries: 0,
    baseURL: `${servers[style].url}/v1`,
  });

for (const style of Object.keys(TEMPLATES)) {
  test(`openai [tools]: ${style}: a required call has a name and arguments of the schema`, async () => {
    const client = clientOf(style);
    for (const seed of [1, 2, 3, 4, 5]) {
      const fields = { model, messages, tools: [weather, now], seed, temperature: 1.5,
        parallel_tool_calls: false };
      const answer = await client.chat.completions.parse({ ...fields, tool_choice: "required" });
      const { message, finish_reason } = answer.choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.equal(message.content, null);
      assert.ok(message.tool_calls.length >= 1);
      for (const call of message.tool_calls) {
        assert.ok(["get_weather", "now"].includes(call.function.name));
        if (call.function.name === "get_weather") Weather.parse(call.function.parsed_arguments);
      }
      const named = await client.chat.completions.create({
        ...fields,
        tool_choice: { type: "function", function: { name: "get_weather" } },
        parallel_tool_calls: false,
      });
      assert.equal(named.choices[0].message.tool_calls.length, 1);
      Weather.parse(JSON.parse(named.choices[0].message.tool_calls[0].function.arguments));
    }
  });

  test(`openai [tools]: ${style}: a stream adds up to the whole answer`, async () => {
    const client = clientOf(style);
    const fields = { model, messages, tools: [weather, now], seed: 9, temperature: 1.5,
      parallel_tool_calls: false };
    const whole = await client.chat.completions.create({ ...fields, tool_choice: "required" });
    const stream = client.chat.completions.stream({ ...fields, tool_choice: "required" });
    const streamed = await stream.finalChatCompletion();
    const calls = (answer) =>
      answer.choices[0].message.tool_calls.map(({ function: { name, arguments: text } }) => [
        name,
        text,
      ]);
    assert.deepEqual(calls(streamed), calls(whole));
    assert.equal(streamed.choices[0].finish_reason, "tool_calls");
  });
}

test("openai [tools]: without a call the text is as without tools", async () => {
  const client = clientOf("mistral"); // whose template does not show the tools
  const fields = { model, messages, seed: 4, max_tokens: 30 };
  const plain = await client.chat.completions.create(fields);
  const free = await client.chat.completions.create({ ...fields, tools: [weather] });
  assert.equal(free.choices[0].message.content, plain.choices[0].message.content);
  assert.equal(free.choices[0].message.tool_calls, undefined);
  const chunks = await collect(
    await client.chat.completions.create({ ...fields, tools: [weather], stream: true }),
  );
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  assert.equal(text.trimEnd(), plain.choices[0].message.content.trimEnd());
});

test("openai [tools]: a conversation goes on after a call, by the client's own loop", async () => {
  const client = clientOf("hermes");
  const asked = [];
  const runner = client.chat.completions.runTools({
    model,
    messages,
    seed: 3,
    tool_choice: { type: "function", function: { name: "get_weather" } },
    tools: [
      zodFunction({
        name: "get_weather",
        parameters: Weather,
        function: (parameters) => {
          asked.push(Weather.parse(parameters));
          return "rain";
        },
      }),
    ],
  });
  await runner.done();
  assert.ok(asked.length >= 1);
  assert.ok(runner.messages.some((message) => message.role === "tool"));
});

test("@ai-sdk/openai-compatible [tools]: tools are run and their results sent back", async () => {
  const { url, fetch } = servers.hermes;
  const provider = createOpenAICompatible({ name: "lockstep", baseURL: `${url}/v1`, fetch });
  const runs = [];
  const tools = rain(tool, Weather, runs, (input) => Weather.parse(input));
  const fields = { model: provider(model), prompt: "Once upon a time", tools, seed: 5 };
  const toolChoice = { type: "tool", toolName: "get_weather" };
  const once = await generateText({ ...fields, toolChoice, stopWhen: stepCountIs(1) });
  assert.equal(once.finishReason, "tool-calls");
  assert.equal(runs.length, once.toolCalls.length);
  const stream = streamText({ ...fields, toolChoice, stopWhen: stepCountIs(1) });
  await stream.consumeStream();
  assert.deepEqual(
    (await stream.toolCalls).map((call) => call.input),
    once.toolCalls.map((call) => call.input),
  );
});

test("@langchain/openai [tools]: bound tools give tool_calls", async () => {
  const { url, fetch } = servers.hermes;
  const chat = new ChatOpenAI({
    model,
    apiKey: "any",
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1`, fetch },
  });
  const bound = chat.bindTools([{ name: "get_weather", description: "Tells it.", schema: Weather }], {
    tool_choice: "get_weather",
  });
  const answer = await bound.invoke("Once upon a time");
  assert.equal(answer.tool_calls[0].name, "get_weather");
  Weather.parse(answer.tool_calls[0].args);
});
