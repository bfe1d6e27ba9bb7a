// One text, one seed and the same parameters are the same tokens, whichever dialect asks, and whether
// the answer comes whole or in pieces. The routes for conversations get a message, and the others the
// text that the chat template makes of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server } from "./server.mjs";

let server, text;
const user = "Tell of the fox.";
const messages = [{ role: "user", content: user }];
before(async () => {
  server = await Server.start();
  text = (await (await server.post("/apply-template", { messages })).json()).prompt;
});
after(() => server.stop());

const N = 24;
const OFF = {
  temperature: 0,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
};
const SAMPLINGS = {
  "the likeliest tokens": OFF,
  chance: { ...OFF, temperature: 1, seed: 7 },
  "every parameter": {
    temperature: 0.9,
    top_k: 30,
    top_p: 0.9,
    min_p: 0.02,
    repetition_penalty: 1.1,
    presence_penalty: 0.2,
    frequency_penalty: 0.1,
    seed: 11,
  },
};

const options = ({ repetition_penalty, ...s }) => ({
  ...s,
  repeat_penalty: repetition_penalty,
  num_predict: N,
});
// TGI has 0 for nothing: what is off is left out.
const parameters = ({ temperature, top_k, top_p, ...s }) => ({
  ...s,
  max_new_tokens: N,
  details: true,
  do_sample: temperature > 0,
  ...(temperature > 0 && { temperature }),
  ...(top_k > 0 && { top_k }),
  ...(top_p < 1 && { top_p }),
});
const own = (s) => ({ ...s, max_tokens: N });
const join = (events, piece) => events.map((e) => piece(e) ?? "").join("");

// A request of each route, the text of a whole answer, and that of a stream's events.
const ROUTES = {
  "/generate": {
    ask: (s) => ({ prompt: text, ...own(s) }),
    whole: (a) => a.text,
    pieces: (e) => join(e, (e) => (e.done ? "" : e.text)),
    ids: (a) => a.tokens,
  },
  "/generate (TGI)": {
    ask: (s) => ({ inputs: text, parameters: parameters(s) }),
    whole: (a) => a.generated_text,
    pieces: (e) => join(e, (e) => e.token?.text),
    ids: (a) => a.details.tokens.map(({ id }) => id),
  },
  "/generate_stream": {
    ask: (s) => ({ inputs: text, parameters: parameters(s) }),
    pieces: (e) => join(e, (e) => e.token?.text),
  },
  "/": {
    ask: (s) => ({ inputs: text, parameters: parameters(s) }),
    whole: (a) => a[0].generated_text,
    pieces: (e) => join(e, (e) => e.token?.text),
  },
  "/v1/completions": {
    ask: (s) => ({ prompt: text, ...own(s) }),
    whole: (a) => a.choices[0].text,
    pieces: (e) => join(e, (e) => e.choices[0]?.text),
  },
  "/v1/chat/completions": {
    ask: (s) => ({ messages, ...own(s) }),
    whole: (a) => a.choices[0].message.content,
    pieces: (e) => join(e, (e) => e.choices[0]?.delta.content),
  },
  "/v1/responses": {
    ask: ({ ...s }) => ({ input: user, max_output_tokens: N, ...s }),
    whole: (a) => join(a.output[0].content, (c) => c.text),
    pieces: (e) => join(e, (e) => (e.type === "response.output_text.delta" ? e.delta : "")),
  },
  "/v1/messages": {
    ask: (s) => ({ messages, ...own(s) }),
    whole: (a) => join(a.content, (c) => c.text), // An empty text is no block.
    pieces: (e) => join(e, (e) => e.delta?.text),
  },
  "/api/chat": {
    ask: (s) => ({ messages, options: options(s) }),
    whole: (a) => a.message.content,
    pieces: (e) => join(e, (e) => e.message.content),
  },
  "/api/generate": {
    ask: (s) => ({ prompt: user, options: options(s) }),
    whole: (a) => a.response,
    pieces: (e) => join(e, (e) => e.response),
    ids: (a) => a.context.slice(-N),
  },
  "/api/generate (raw)": {
    ask: (s) => ({ prompt: text, raw: true, options: options(s) }),
    whole: (a) => a.response,
    pieces: (e) => join(e, (e) => e.response),
  },
};

async function ask(route, body) {
  const response = await server.post(route.split(" ")[0], body);
  const answer = await response.text();
  assert.equal(response.status, 200, `${route}: ${answer}`);
  const type = response.headers.get("content-type").split(";")[0];
  return type === "application/json" ? JSON.parse(answer) : server.contract.values(type, answer);
}

for (const [name, sampling] of Object.entries(SAMPLINGS)) {
  test(`${name} are the same through every dialect`, async (t) => {
    const reference = await ask("/generate", ROUTES["/generate"].ask(sampling));
    assert.equal(reference.tokens.length, N);
    for (const [route, { ask: bodyOf, whole, pieces, ids }] of Object.entries(ROUTES)) {
      await t.test(route, async () => {
        if (whole) {
          const answer = await ask(route, { ...bodyOf(sampling), stream: false });
          assert.equal(whole(answer), reference.text);
          if (ids) assert.deepEqual(ids(answer), reference.tokens);
        }
        assert.equal(pieces(await ask(route, { ...bodyOf(sampling), stream: true })), reference.text);
      });
    }
  });
}

// A seed that a request does not have is drawn, and another one each time.
test("without a seed two answers differ", async () => {
  for (const [route, { ask: bodyOf, whole }] of Object.entries(ROUTES)) {
    if (!whole) continue;
    const { seed, ...rest } = SAMPLINGS.chance;
    const texts = new Set();
    for (let i = 0; i < 4; ++i) texts.add(whole(await ask(route, { ...bodyOf(rest), stream: false })));
    assert.ok(texts.size > 1, route);
  }
});
