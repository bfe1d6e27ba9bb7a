// zod 3, and zod 4 as that package has it, through the openai package and Vercel's ai.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { NoObjectGeneratedError, generateObject } from "ai";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import * as z3 from "zod/v3";
import * as z4 from "zod/v4";
import { testTypes, types } from "./types.mjs";

async function asObject(server, schema, seed) {
  const provider = createOpenAICompatible({
    name: "lockstep",
    baseURL: `${server.url}/v1`,
    fetch: server.fetch,
    supportsStructuredOutputs: true,
  });
  const options = { maxOutputTokens: 400, maxRetries: 0, temperature: 1.5, seed };
  try {
    return (
      await generateObject({ model: provider("lockstep-tales"), schema, prompt: "Answer.", ...options })
    ).object;
  } catch (error) {
    if (NoObjectGeneratedError.isInstance(error) && error.finishReason === "length") return undefined;
    throw error;
  }
}

const clients = { OpenAI, zodResponseFormat, zodTextFormat, asObject };
const types3 = types(
  z3,
  (shape) => z3.object(shape).strict(),
  (shape) => z3.object(shape).passthrough(),
);
const types4 = types(z4, z4.strictObject, z4.looseObject);
const schemaOf3 = (type) => zodResponseFormat(type, "answer").json_schema.schema;
testTypes("zod 3", types3, { object: "lazy" }, schemaOf3, clients);
testTypes("zod 4", types4, { strict: "intersection" }, z4.toJSONSchema, clients);
