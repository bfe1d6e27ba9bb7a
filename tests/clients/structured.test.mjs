// The openai package: answers of a form, enforced while they are made.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";

let server, client;
before(async () => {
  server = await Server.start();
  const options = { apiKey: "any", fetch: server.fetch, maxRetries: 0 };
  client = new OpenAI({ baseURL: `${server.url}/v1`, ...options });
});
after(() => server.stop());

const model = "lockstep-tales";
const messages = [{ role: "user", content: "There was once a" }];
const Animal = z.object({
  kind: z.enum(["fox", "bear", "goose"]),
  legs: z.number().int(),
  clever: z.boolean(),
});
const response_format = zodResponseFormat(Animal, "animal");

test("openai [structured]: parse helpers read what the schema says", async () => {
  for (const seed of [1, 2, 3]) {
    const answer = await client.chat.completions.parse({
      model,
      messages,
      response_format,
      seed,
      temperature: 1.5,
    });
    const { message, finish_reason } = answer.choices[0];
    assert.equal(finish_reason, "stop");
    assert.deepEqual(message.parsed, Animal.parse(JSON.parse(message.content)));
    const chunks = await collect(
      await client.chat.completions.create({
        model,
        messages,
        response_format,
        seed,
        temperature: 1.5,
        stream: true,
      }),
    );
    assert.equal(joined(chunks.map((c) => c.choices[0].delta.content ?? "")), message.content);
    const { prompt } = await (await server.post("/apply-template", { messages })).json();
    const native = await server.generate({
      prompt,
      seed,
      temperature: 1.5,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      json_schema: response_format.json_schema.schema,
    });
    assert.equal(native.text, message.content);
  }
});

test("openai [structured]: json_object, and a grammar on completions", async () => {
  const { choices } = await client.chat.completions.create({
    model,
    messages,
    response_format: { type: "json_object" },
    seed: 5,
    max_tokens: 200,
  });
  if (choices[0].finish_reason === "stop") assert.equal(typeof JSON.parse(choices[0].message.content), "object");
  assert.match(choices[0].message.content, /^\{/);
  const completion = await client.completions.create({
    model,
    prompt: "Is the fox clever?",
    grammar: 'root ::= " yes" | " no"',
    n: 4,
    seed: 1,
  });
  for (const choice of completion.choices) assert.match(choice.text, /^ (yes|no)$/);
});

test("openai [errors]: what cannot be enforced is refused by name", async () => {
  const refused = (response_format, message) =>
    assert.rejects(client.chat.completions.create({ model, messages, response_format }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
      assert.match(error.param, /^response_format\./);
      assert.match(error.message, message);
      return true;
    });
  await refused({ type: "xml" }, /json_schema/);
  await refused(
    {
      type: "json_schema",
      json_schema: { name: "n", strict: true, schema: { type: "string", pattern: "(a)\\1" } },
    },
    /pattern/,
  );
});
