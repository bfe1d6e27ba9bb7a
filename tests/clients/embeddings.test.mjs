// Vectors of texts by the clients of OpenAI's, Ollama's and Hugging Face's APIs, of a model beside
// the embedded one.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OllamaEmbeddings } from "@langchain/ollama";
import { OpenAIEmbeddings } from "@langchain/openai";
import { InferenceClient } from "@huggingface/inference";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { VECTOR, writeEncoder } from "./encoder.mjs";
import { Server } from "./server.mjs";

const TEXTS = ["once upon a time", "there was a king", "the end"];
const LONG = "king ".repeat(200);

// As the floats that they are: base64 has these, and numbers in JSON the digits that tell them apart.
const floats = (list) => list.map((vector) => Array.from(vector, Math.fround));

let folder, server, client, vectors;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "lockstep-encoder-"));
  const file = join(folder, "encoder.gguf");
  writeEncoder(file);
  server = await Server.start("--embedding-model", file, "--strict");
  client = new OpenAI({
    baseURL: `${server.url}/v1`, apiKey: "any", fetch: server.fetch, maxRetries: 0,
  });
  const reply = await server.post("/v1/embeddings", { input: TEXTS });
  vectors = floats((await reply.json()).data.map((d) => d.embedding));
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

test("openai: vectors in base64, which it asks for by itself, and in numbers", async () => {
  const made = await client.embeddings.create({ model: "encoder", input: TEXTS });
  assert.deepEqual(floats(made.data.map((d) => d.embedding)), vectors);
  assert.equal(vectors[0].length, VECTOR);
  assert.ok(Math.abs(Math.hypot(...vectors[0]) - 1) < 1e-6);
  const numbers = await client.embeddings.create({
    model: "encoder", input: TEXTS[0], encoding_format: "float",
  });
  assert.deepEqual(floats([numbers.data[0].embedding]), [vectors[0]]);
  assert.equal(numbers.usage.total_tokens, numbers.usage.prompt_tokens);
});

test("openai: what cannot be encoded, and the wrong model", async () => {
  const refused = (body, says) =>
    assert.rejects(client.embeddings.create(body), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.match(error.message, says);
      return true;
    });
  await refused({ model: "encoder", input: LONG }, /a text may have 64/);
  await refused({ model: "encoder", input: [] }, /input is empty/);
  await refused({ model: "lockstep-tales", input: "a" }, /makes no vectors/);
  await assert.rejects(
    client.completions.create({ model: "encoder", prompt: "a" }), /generates nothing/);
  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  assert.deepEqual(models, ["lockstep-tales", "encoder"]);
});

test("@langchain/openai: documents and a query", async () => {
  const embeddings = new OpenAIEmbeddings({
    model: "encoder", apiKey: "any", configuration: { baseURL: `${server.url}/v1`, fetch: server.fetch },
  });
  assert.deepEqual(floats(await embeddings.embedDocuments(TEXTS)), vectors);
  assert.deepEqual(floats([await embeddings.embedQuery(TEXTS[1])]), [vectors[1]]);
});

test("ollama and @langchain/ollama: embed and embeddings", async () => {
  const ollama = new Ollama({ host: server.url, fetch: server.fetch });
  const made = await ollama.embed({ model: "encoder", input: TEXTS });
  assert.deepEqual(floats(made.embeddings), vectors);
  assert.ok(made.prompt_eval_count > 0);
  const older = await ollama.embeddings({ model: "encoder", prompt: TEXTS[2] });
  assert.deepEqual(floats([older.embedding]), [vectors[2]]);
  assert.equal((await ollama.embed({ model: "encoder", input: LONG })).embeddings.length, 1);
  await assert.rejects(
    ollama.embed({ model: "encoder", input: LONG, truncate: false }), /a text may have 64/);
  const { capabilities } = await ollama.show({ model: "encoder" });
  assert.deepEqual(capabilities, ["embedding"]);
  const embeddings = new OllamaEmbeddings({ model: "encoder", baseUrl: server.url });
  assert.deepEqual(floats(await embeddings.embedDocuments(TEXTS)), vectors);
});

test("@huggingface/inference: features and similarity", async () => {
  const hf = (path) => new InferenceClient("any", { endpointUrl: `${server.url}${path}`, fetch: server.fetch });
  const features = await hf("/embed").featureExtraction({ inputs: TEXTS });
  assert.deepEqual(floats(features), vectors);
  const cosines = await hf("/similarity").sentenceSimilarity({
    inputs: { source_sentence: TEXTS[0], sentences: TEXTS },
  });
  assert.ok(Math.abs(cosines[0] - 1) < 1e-6);
  assert.equal(cosines.length, 3);
});

test("the same bytes again, alone and in another order", async () => {
  const [last] = (await (await server.post("/v1/embeddings", { input: TEXTS[2] })).json()).data;
  assert.deepEqual(floats([last.embedding]), [vectors[2]]);
  const turned = await (await server.post("/v1/embeddings", { input: [...TEXTS].reverse() })).json();
  assert.deepEqual(floats(turned.data.map((d) => d.embedding)).reverse(), vectors);
});
