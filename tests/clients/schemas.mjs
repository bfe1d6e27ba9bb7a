// usage: npm ci --prefix tests/clients
//        node tests/clients/schemas.mjs [http://127.0.0.1:8080 [KEY]]
// Asks a server, without an address one that it starts ($LOCKSTEP), for one answer to each of tests/data/schemas.json, as OpenAI's clients do, and
// checks the answers with ajv.
import { readFileSync } from 'node:fs';
import { Lockstep } from '../support/lockstep.mjs';
import { Checker } from './schema_checker.mjs';

const [address, key = 'none'] = process.argv.slice(2);
const own = address === undefined ? await Lockstep.start() : null;
const server = address ?? own.url;
const schemas = JSON.parse(readFileSync(new URL('../data/schemas.json', import.meta.url)));
const checker = new Checker();
let failed = 0;

async function ask(schema, seed) {
  const response = await fetch(`${server}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: 'default', temperature: 1.5, seed, max_tokens: 400,
      messages: [{ role: 'user', content: 'Answer in JSON.' }],
      response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } },
    }),
  });
  const answer = await response.json();
  if (response.status !== 200) {
    failed += 1;
    console.log(`${JSON.stringify(schema)}\n  status ${response.status}: ${JSON.stringify(answer)}`);
    return;
  }
  const { message, finish_reason: finish } = answer.choices[0];
  checker.check(schema, message.content, finish);
}

// Four at a time, so that requests share steps.
const waiting = schemas.map((schema, i) => [schema, i + 1]);
await Promise.all(Array.from({ length: 4 }, async () => {
  while (waiting.length > 0) await ask(...waiting.shift());
}));
await own?.stop();
process.exit(Math.max(checker.report(), failed > 0 ? 1 : 0));
