// @huggingface/inference, which speaks the dialect of text-generation-inference.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { InferenceClient } from "@huggingface/inference";
import { PROMPT, SAMPLING, collect, joined } from "./reference.mjs";
import { Server } from "./server.mjs";

let server;
before(async () => (server = await Server.start()));
after(() => server.stop());

const client = new InferenceClient();
const at = (path) => ({ endpointUrl: server.url + path });
const options = () => ({ fetch: server.fetch, retry_on_error: false });
const greedy = { max_new_tokens: 20 };
const chance = { max_new_tokens: 20, do_sample: true, seed: 11, top_p: 0.9 };

test("@huggingface/inference [basic]: textGeneration is what /generate says", async () => {
  for (const path of ["/", "/generate"]) {
    for (const [parameters, fields] of [
      [greedy, { temperature: 0 }],
      [chance, { seed: 11, top_p: 0.9 }],
      [{ ...chance, temperature: 0.5, stop: ["."] }, { seed: 11, top_p: 0.9, temperature: 0.5, stop: "." }],
    ]) {
      const answer = await client.textGeneration(
        { ...at(path), inputs: PROMPT, parameters },
        options(),
      );
      const expected = await server.generate({
        prompt: PROMPT,
        max_tokens: 20,
        ...SAMPLING,
        ...fields,
      });
      assert.equal(answer.generated_text, expected.text);
    }
  }
});

test("@huggingface/inference [basic]: details and return_full_text", async () => {
  const { generated_text, details } = await client.textGeneration(
    {
      ...at("/generate"),
      inputs: PROMPT,
      parameters: { ...chance, details: true, return_full_text: true, best_of: 3, top_n_tokens: 2 },
    },
    options(),
  );
  assert.ok(generated_text.startsWith(PROMPT));
  assert.equal(details.finish_reason, "length");
  assert.equal(details.tokens.length, details.generated_tokens);
  assert.equal(PROMPT + joined(details.tokens.map((t) => t.text)), generated_text);
  assert.equal(details.top_tokens[0].length, 2);
  assert.equal(details.best_of_sequences.length, 2);
  const { seed } = details;
  const again = await server.generate({
    prompt: PROMPT,
    max_tokens: 20,
    ...SAMPLING,
    top_p: 0.9,
    seed,
  });
  assert.equal(PROMPT + again.text, generated_text);
});

test("@huggingface/inference [stream]: textGenerationStream", async () => {
  for (const path of ["/", "/generate", "/generate_stream"]) {
    const events = await collect(
      client.textGenerationStream({ ...at(path), inputs: PROMPT, parameters: chance }, options()),
    );
    const last = events.at(-1);
    assert.equal(events.length, 20);
    assert.ok(events.slice(0, -1).every((e) => e.generated_text === null && e.details === null));
    assert.equal(last.generated_text, joined(events.map((e) => e.token.text)));
    assert.equal(last.details.finish_reason, "length");
    assert.equal(last.details.generated_tokens, 20);
    const whole = await client.textGeneration(
      { ...at("/"), inputs: PROMPT, parameters: chance },
      options(),
    );
    assert.equal(last.generated_text, whole.generated_text);
  }
});

test("@huggingface/inference [errors]: errors are read", async () => {
  const request = { ...at("/generate"), inputs: PROMPT, parameters: { watermark: true } };
  await assert.rejects(client.textGeneration(request, options()), (error) => {
    assert.match(error.message, /watermark is not supported/);
    assert.equal(error.httpResponse.status, 422);
    assert.equal(error.httpResponse.body.error_type, "validation");
    return true;
  });
  await assert.rejects(
    collect(client.textGenerationStream({ ...request, inputs: "a ".repeat(2000) }, options())),
    /watermark/,
  );
  await assert.rejects(
    client.textGeneration({ ...at("/"), inputs: "a ".repeat(2000) }, options()),
    /context/,
  );
});

test("/info says what is served", async () => {
  const info = await (await server.fetch(`${server.url}/info`)).json();
  assert.equal(info.model_id, "lockstep-tales");
  assert.equal(info.max_total_tokens, 512);
});
