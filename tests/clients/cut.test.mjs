// Streams that the server ends in the middle: each client says that there was an error, and none
// takes what came for the whole answer.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import Anthropic from "@anthropic-ai/sdk";
import { ChatOllama } from "@langchain/ollama";
import { ChatOpenAI } from "@langchain/openai";
import { streamText } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { PROMPT } from "./reference.mjs";
import { CutStreams } from "./cut_streams.mjs";

const run = new CutStreams();
const model = "lockstep-tales", messages = [{ role: "user", content: PROMPT }];
const options = { ignore_eos: true, num_predict: -1 };

const openai = () =>
  new OpenAI({ baseURL: `${run.server.url}/v1`, apiKey: "any", maxRetries: 0, fetch: run.endless });
const anthropic = () =>
  new Anthropic({ baseURL: run.server.url, apiKey: "any", maxRetries: 0, fetch: run.endless });
const ollama = () => new Ollama({ host: run.server.url, fetch: fetch });
const parts = (provider) =>
  streamText({ model: provider, messages, maxRetries: 0, onError() {} }).fullStream;
const long = { model, messages, max_tokens: 100_000 };
// By client: its streams, and the class of their errors.
const CLIENTS = {
  openai: [OpenAI.APIError, {
    chat: () => openai().chat.completions.create({ model, messages, stream: true }),
    completion: () => openai().completions.create({ model, prompt: PROMPT, max_tokens: -1, stream: true }),
    helper: () => openai().chat.completions.stream({ model, messages }),
  }],
  "@anthropic-ai/sdk": [Anthropic.APIError, {
    messages: () => anthropic().messages.create({ ...long, stream: true }),
    helper: () => anthropic().messages.stream(long),
  }],
  ollama: [Error, {
    chat: () => ollama().chat({ model, messages, stream: true, options }),
    prompt: () => ollama().generate({ model, prompt: PROMPT, stream: true, options }),
  }],
  // LangChain brings another copy of OpenAI's client, with classes of its own.
  "@langchain/openai": [Error, {
    chat: () => new ChatOpenAI({ model, apiKey: "any", maxRetries: 0,
      configuration: { baseURL: `${run.server.url}/v1`, fetch: run.endless } }).stream(PROMPT),
  }],
  "@langchain/ollama": [Error, {
    chat: () => new ChatOllama({ model, baseUrl: run.server.url, numPredict: -1, maxRetries: 0,
      fetch: fetch }).stream(PROMPT),
  }],
  // What is no exception but a part of the stream has no class.
  "@ai-sdk/openai-compatible": [Object, {
    chat: () => parts(createOpenAICompatible({ name: "x", baseURL: `${run.server.url}/v1`, fetch: run.endless })(model)),
  }],
  "@ai-sdk/anthropic": [Object, {
    messages: () => parts(createAnthropic({ baseURL: `${run.server.url}/v1`, apiKey: "any", fetch: run.endless })(model)),
  }],
};

run.test(CLIENTS);
