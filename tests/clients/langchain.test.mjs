// @langchain/openai.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAI } from "@langchain/openai";
import { PROMPT, SAMPLING, collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";

let server, common;
before(async () => {
  server = await Server.start("--strict-model");
  common = {
    model: "lockstep-tales",
    apiKey: "any",
    maxTokens: 20,
    temperature: 0.7,
    maxRetries: 0,
    configuration: { baseURL: `${server.url}/v1`, fetch: server.fetch },
  };
});
after(() => server.stop());

const generate = (fields) =>
  server.generate({ prompt: PROMPT, max_tokens: 20, ...SAMPLING, temperature: 0.7, seed: 5, ...fields });

test("@langchain/openai [basic, stream]: a completion model: invoke, generate, stream", async () => {
  const model = new OpenAI({ ...common, modelKwargs: { seed: 5 } });
  const expected = await generate({});
  assert.equal(await model.invoke(PROMPT), expected.text);
  const { generations, llmOutput } = await model.generate([PROMPT, "The end"]);
  assert.equal(generations[0][0].text, expected.text);
  assert.equal(generations[1][0].text, (await generate({ prompt: "The end" })).text);
  assert.ok(llmOutput.tokenUsage.completionTokens > 20);
  assert.equal(joined(await collect(await model.stream(PROMPT))), expected.text);
});

test("@langchain/openai [basic, stream]: a chat model: invoke, batch, stream", async () => {
  const model = new ChatOpenAI({ ...common, modelKwargs: { seed: 5 } });
  const messages = [
    new SystemMessage("You tell tales."),
    new HumanMessage("Once upon a time."),
    new AIMessage("There was a king."),
    new HumanMessage("One day"),
  ];
  const roles = { system: "system", human: "user", ai: "assistant" };
  const { prompt } = await (
    await server.post("/apply-template", {
      messages: messages.map((m) => ({ role: roles[m.getType()], content: m.content })),
    })
  ).json();
  const expected = await generate({ prompt });
  const answer = await model.invoke(messages);
  assert.equal(answer.content, expected.text);
  assert.equal(answer.usage_metadata.input_tokens, expected.usage.prompt_tokens);
  assert.equal(answer.usage_metadata.output_tokens, expected.usage.completion_tokens);
  assert.equal(answer.response_metadata.finish_reason, expected.finish_reason);
  const [first, second] = await model.batch([messages, PROMPT]);
  assert.equal(first.content, expected.text);
  assert.equal(second.content, (await generate({})).text);
  const chunks = await collect(await model.stream(messages));
  assert.equal(joined(chunks.map((chunk) => chunk.content)), expected.text);
  const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
  assert.equal(whole.usage_metadata.output_tokens, expected.usage.completion_tokens);
});

test("@langchain/openai [errors]: errors carry status and code", async () => {
  const model = new ChatOpenAI({ ...common, model: "gpt-4o" });
  await assert.rejects(model.invoke("x"), (error) => {
    assert.equal(error.status, 404);
    assert.equal(error.code, "model_not_found");
    return true;
  });
});
