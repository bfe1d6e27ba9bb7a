// usage: npm ci --prefix tests/clients
//        schema_outputs < tests/data/schemas.json | node tests/clients/check_outputs.mjs
// Every text that ended by itself must be JSON that its schema allows, by the validator ajv.
import { createInterface } from 'node:readline';
import { Checker } from './schema_checker.mjs';

const checker = new Checker();
for await (const line of createInterface({ input: process.stdin })) {
  const { schema, text, finish } = JSON.parse(line);
  checker.check(schema, text, finish);
}
process.exit(checker.report());
