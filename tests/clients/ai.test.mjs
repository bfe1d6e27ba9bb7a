// Vercel's ai package with @ai-sdk/openai-compatible.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";
import { PROMPT, SAMPLING, collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";

let server, provider;
before(async () => {
  server = await Server.start("--strict-model");
  provider = createOpenAICompatible({
    name: "lockstep",
    baseURL: `${server.url}/v1`,
    fetch: server.fetch,
    includeUsage: true,
  });
});
after(() => server.stop());

const NAME = "lockstep-tales";
const settings = { maxOutputTokens: 20, seed: 3, maxRetries: 0 };
const generate = (fields) =>
  server.generate({ prompt: PROMPT, max_tokens: 20, seed: 3, ...SAMPLING, ...fields });

// Text or object: the package's versions differ.
const bodyOf = ({ body }) => (typeof body === "string" ? JSON.parse(body) : body);

// A completion model renders the prompt as a conversation of its own, which ends its text.
test("@ai-sdk/openai-compatible [basic]: generateText with a completion model", async () => {
  const { text, usage, finishReason, request } = await generateText({
    model: provider.completionModel(NAME),
    prompt: PROMPT,
    ...settings,
  });
  const { prompt, stop } = bodyOf(request);
  const expected = await generate({ prompt, stop });
  assert.equal(text, expected.text);
  assert.equal(usage.inputTokens, expected.usage.prompt_tokens);
  assert.equal(usage.outputTokens, expected.usage.completion_tokens);
  assert.equal(finishReason, expected.finish_reason);
});

test("@ai-sdk/openai-compatible [stream]: streamText with a completion model", async () => {
  const result = streamText({
    model: provider.completionModel(NAME),
    prompt: PROMPT,
    ...settings,
    onError() {},
  });
  const text = joined(await collect(result.textStream));
  const { prompt, stop } = bodyOf(await result.request);
  const expected = await generate({ prompt, stop });
  assert.equal(text, expected.text);
  assert.equal((await result.usage).outputTokens, expected.usage.completion_tokens);
  assert.equal(await result.finishReason, expected.finish_reason);
});

test("@ai-sdk/openai-compatible [basic, stream]: generateText and streamText with a chat model", async () => {
  const model = provider(NAME);
  const messages = [{ role: "user", content: PROMPT }];
  const expected = await generate({});
  const whole = await generateText({ model, messages, ...settings });
  assert.equal(whole.text, expected.text);
  assert.equal(whole.usage.totalTokens, expected.usage.total_tokens);
  assert.equal(whole.finishReason, "length");
  assert.equal(whole.response.modelId, NAME);
  const result = streamText({ model, messages, ...settings });
  assert.equal(joined(await collect(result.textStream)), expected.text);
  assert.equal((await result.usage).outputTokens, expected.usage.completion_tokens);
});

test("@ai-sdk/openai-compatible [errors]: errors are of the client's class", async () => {
  await assert.rejects(
    generateText({ model: provider("gpt-4o"), prompt: PROMPT, maxRetries: 0 }),
    (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 404);
      assert.match(error.message, /there is no model "gpt-4o"/);
      assert.equal(error.isRetryable, false);
      return true;
    },
  );
  await assert.rejects(
    generateText({ model: provider(NAME), prompt: "a ".repeat(2000), maxRetries: 0 }),
    (error) => error.statusCode === 400 && error.data.error.code === "context_length_exceeded",
  );
});
