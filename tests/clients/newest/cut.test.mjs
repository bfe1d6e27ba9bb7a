// Responses whose stream the server ends in the middle: each client says that there was an error.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
import OpenAI from "openai";
import { CutStreams } from "../cut_streams.mjs";

let run;
const model = "lockstep-tales", input = "Once upon a time there was";
// Each begins an answer that goes on until the context is full.
const endless = (url, init) =>
  run.server.fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), ignore_eos: true }) });
const openai = () =>
  new OpenAI({ baseURL: `${run.server.url}/v1`, apiKey: "any", maxRetries: 0, fetch: endless });
const CLIENTS = {
  openai: [OpenAI.APIError, {
    responses: () => openai().responses.create({ model, input, stream: true }),
    helper: () => openai().responses.stream({ model, input }),
    chat: () => openai().chat.completions.create({ model, messages: [{ role: "user", content: input }], stream: true }),
  }],
  "@ai-sdk/openai": [Object, {
    responses: () => streamText({ maxRetries: 0, onError() {}, prompt: input,
      model: createOpenAI({ baseURL: `${run.server.url}/v1`, apiKey: "any", fetch: endless })(model) }).fullStream,
  }],
};

before(async () => {
  run = await CutStreams.start(CLIENTS);
  run.begin();
});
after(() => run.server.stop());

for (const [client, [kind, streams]] of Object.entries(CLIENTS)) {
  test(`${client} [errors]: a stream that is cut off ends in an error`, async () => {
    for (const name of Object.keys(streams)) {
      const error = await run.ends[client][name];
      assert.ok(error instanceof kind, `${name}: ${JSON.stringify(error)}`);
      assert.match(error.message ?? JSON.stringify(error), /the server is shutting down/);
    }
  });
}
