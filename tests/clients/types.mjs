// Types that people write, of zod 3 and 4, as what an answer must be. Each answer must be one by the
// type itself, whichever client makes a schema of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server } from "./server.mjs";

const model = "lockstep-tales";
const messages = [{ role: "user", content: "Answer in JSON." }];
const SEEDS = [1, 2, 3];

// `strict` makes an object that has no other members, `loose` one that may.
export function types(z, strict, loose) {
  const Address = z.object({ street: z.string().max(20), code: z.string().regex(/^\d{5}$/) });
  const Cat = z.object({ kind: z.literal("cat"), lives: z.number().int().min(1).max(9) });
  const Dog = z.object({ kind: z.literal("dog"), good: z.boolean() });
  const Node = z.object({ value: z.number().int(), next: z.lazy(() => Node).nullable() });
  const Status = { Open: "open", Closed: "closed" };
  return {
    nested: z.object({ name: z.string().min(1).max(12), home: Address }),
    nullable: z.object({ a: z.string().max(9).nullable(), b: z.number().nullable() }),
    union: z.object({ value: z.union([z.number().int(), z.boolean(), Address]) }),
    discriminated: z.object({ pet: z.discriminatedUnion("kind", [Cat, Dog]) }),
    strict: strict({ a: z.boolean() }),
    loose: loose({ a: z.boolean() }),
    record: z.object({ counts: z.record(z.string(), z.number().int()) }),
    tuple: z.object({ pair: z.tuple([z.number().int(), z.enum(["x", "y"])]) }),
    enum: z.object({ color: z.enum(["red", "green", 'with "quotes"']) }),
    nativeEnum: z.object({ status: z.nativeEnum(Status) }),
    literals: z.object({ one: z.literal(1), yes: z.literal(true), none: z.null() }),
    lists: z.object({ some: z.array(z.number().int()).min(1).max(3), exact: z.array(z.boolean()).length(2) }),
    integers: z.object({ big: z.number().int().gt(1000).lt(100000), step: z.number().int().multipleOf(5) }),
    numbers: z.object({ ratio: z.number().min(0).max(1), low: z.number().negative().min(-10) }),
    lengths: z.object({ short: z.string().length(5), long: z.string().min(10).max(300) }),
    affixes: z.object({ code: z.string().startsWith("ab").max(12), all: z.string().regex(/^\S+$/).max(8) }),
    dates: z.object({ at: z.string().datetime({ offset: true }), on: z.string().date() }),
    formats: z.object({ mail: z.string().email(), link: z.string().url(), id: z.string().uuid() }),
    lazy: Node,
    default: z.object({ a: z.number().int().min(0).max(9).default(3), b: z.array(z.string().max(5)).max(2) }),
    described: z.object({ a: z.string().max(9).describe("A text.") }).describe("An object."),
    deep: z.object({ a: z.array(z.object({ b: z.array(z.object({ c: z.boolean() })).max(2) })).max(2) }),
    optionalInside: z.object({ list: z.array(z.object({ a: z.string().max(5).nullish() })).max(2) }),
    intersection: z.object({
      both: z.intersection(z.object({ a: z.boolean() }), z.object({ b: z.boolean() })),
    }),
  };
}

// `except` has the names of types that one way cannot say: `strict`, whose schema no value fits, and
// `object`, which generateObject takes for another one.
export function testTypes(
  title,
  all,
  except,
  schemaOf,
  { OpenAI, zodResponseFormat, zodTextFormat, asObject },
) {
  let server, client;
  before(async () => {
    server = await Server.start();
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "any", fetch: server.fetch, maxRetries: 0 });
  });
  after(() => server.stop());
  const each = (what, list, ask) =>
    test(`${title}: ${what}`, async (t) => {
      for (const [name, type] of Object.entries(list)) {
        await t.test(name, async () => {
          for (const seed of SEEDS) {
            const value = await ask(type, seed);
            if (value !== undefined) type.parse(value); // else it was cut
          }
        });
      }
    });
  const but = (name) => Object.fromEntries(Object.entries(all).filter(([key]) => key !== name));
  const sampling = { temperature: 1.5 };

  each("chat.completions.parse", but(except.strict), async (type, seed) => {
    const response_format = zodResponseFormat(type, "answer");
    const answer = await client.chat.completions.create({
      model,
      messages,
      response_format,
      seed,
      max_tokens: 400,
      ...sampling,
    });
    const { message, finish_reason } = answer.choices[0];
    if (finish_reason === "length") return undefined;
    return response_format.$parseRaw(message.content);
  });

  each("responses.parse", but(except.strict), async (type, seed) => {
    const text = { format: zodTextFormat(type, "answer") };
    const answer = await client.responses.create({
      model,
      input: messages,
      text,
      seed,
      max_output_tokens: 400,
      ...sampling,
    });
    return answer.status === "incomplete" ? undefined : text.format.$parseRaw(answer.output_text);
  });

  each("a schema that is not strict", all, async (type, seed) => {
    const json_schema = { name: "answer", strict: false, schema: schemaOf(type) };
    const { data, response } = await client.chat.completions
      .create({
        model,
        messages,
        response_format: { type: "json_schema", json_schema },
        seed,
        max_tokens: 400,
        ...sampling,
      })
      .withResponse();
    const ignored = response.headers.get("x-ignored-params");
    if (type !== all[except.strict]) assert.equal(ignored, null);
    else assert.match(ignored, /additionalProperties/);
    const { message, finish_reason } = data.choices[0];
    return finish_reason === "length" ? undefined : JSON.parse(message.content);
  });

  each("generateObject", but(except.object), (type, seed) => asObject(server, type, seed));
}
