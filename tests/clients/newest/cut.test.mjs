// Responses whose stream the server ends in the middle: each client says that there was an error.
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
import OpenAI from "openai";
import { CutStreams } from "../cut_streams.mjs";

const run = new CutStreams();
const model = "lockstep-tales", input = "Once upon a time there was";
const openai = () =>
  new OpenAI({ baseURL: `${run.server.url}/v1`, apiKey: "any", maxRetries: 0, fetch: run.endless });
const CLIENTS = {
  openai: [OpenAI.APIError, {
    responses: () => openai().responses.create({ model, input, stream: true }),
    helper: () => openai().responses.stream({ model, input }),
    chat: () => openai().chat.completions.create({ model, messages: [{ role: "user", content: input }], stream: true }),
  }],
  "@ai-sdk/openai": [Object, {
    responses: () => streamText({ maxRetries: 0, onError() {}, prompt: input,
      model: createOpenAI({ baseURL: `${run.server.url}/v1`, apiKey: "any", fetch: run.endless })(model) }).fullStream,
  }],
};

run.test(CLIENTS);
