// A lockstep process for a test file, and a fetch for its clients that holds the server to its own
// /openapi.json: every request that it answers well, every answer and every event of a stream must
// be as the document says.
import assert from "node:assert/strict";
import Ajv2020 from "ajv/dist/2020.js";
import { Lockstep } from "../support/lockstep.mjs";

export class Server extends Lockstep {
  static async start(...flags) {
    const server = await super.start(...flags);
    const headers = { authorization: "Bearer secret" }; // where the flags ask for one
    const openapi = await (await fetch(`${server.url}/openapi.json`, { headers })).json();
    server.contract = new Contract(openapi);
    return server;
  }

  // To be given to clients instead of the global one.
  fetch = async (input, init) => {
    const request = new Request(input, init);
    const sent = request.body ? await request.clone().text() : undefined;
    const response = await fetch(request);
    const path = new URL(request.url).pathname;
    // A copy is read beside the client's. If the client leaves, it ends early, too.
    const copy = response.clone();
    this.checks.push(
      copy.text().then(
        (text) => this.contract.check(request.method, path, sent, copy, text),
        () => {},
      ),
    );
    return response;
  };
  checks = [];

  async post(path, body, headers = {}) {
    return this.fetch(this.url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  // What the native route makes of it: the reference for all others.
  async generate(body) {
    const response = await this.post("/generate", body);
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  }

  async stop() {
    await super.stop();
    await Promise.all(this.checks); // fails where the contract was broken
    assert.ok(this.checks.length > 0);
  }
}

// What the document says of the JSON in events; [DONE] is none.
function ofEvents({ properties: { data } }) {
  return (data.anyOf?.[1] ?? data).contentSchema;
}

class Contract {
  constructor(openapi) {
    this.paths = openapi.paths;
    this.responses = openapi.components.responses;
    this.ajv = new Ajv2020({ strict: false, allErrors: false });
    this.ajv.addSchema({ $id: "api", components: openapi.components });
  }

  validate(schema, value, what) {
    const rooted = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/'));
    this.validators ??= new Map();
    const key = JSON.stringify(schema);
    if (!this.validators.has(key)) this.validators.set(key, this.ajv.compile(rooted));
    const validator = this.validators.get(key);
    const good = validator(value);
    const why = JSON.stringify(validator.errors);
    assert.ok(good, `${what} is not as openapi.json says: ${why}\n${JSON.stringify(value)}`);
  }

  check(method, path, sent, response, text) {
    const what = `${method} ${path} -> ${response.status}`;
    assert.ok(response.headers.get("x-request-id"), `${what}: no X-Request-Id`);
    if (response.status === 404 && !path.startsWith("/v1/")) return;
    const known = path
      .replace(/^\/v1\/models\/.*/, "/v1/models/{model}")
      .replace(/^(\/v1\/responses\/)resp_[^/]*/, "$1{response_id}");
    const operation = this.paths[known]?.[method.toLowerCase()];
    assert.ok(operation, `${what} is not in openapi.json`);
    if (response.ok && sent !== undefined && !response.headers.has("x-ignored-params")) {
      const schema = operation.requestBody.content["application/json"].schema;
      this.validate(schema, JSON.parse(sent), `the request of ${what}`);
    }
    let described = operation.responses[response.status] ?? operation.responses.default;
    if (described.$ref) described = this.responses[described.$ref.split("/").pop()];
    const type = response.headers.get("content-type").split(";")[0];
    const content = described.content[type];
    assert.ok(content, `${what}: ${type} is not in openapi.json`);
    const schema = type === "text/event-stream" ? ofEvents(content.schema) : content.schema;
    for (const value of this.values(type, text)) {
      this.validate(schema, value, `the answer of ${what}`);
    }
  }

  values(type, text) {
    if (type === "application/json") return [JSON.parse(text)];
    if (type === "application/x-ndjson") return text.trim().split("\n").map((l) => JSON.parse(l));
    if (type !== "text/event-stream") return [];
    assert.ok(text.endsWith("\n\n"), "the last event is not ended");
    const events = text.split("\n\n").slice(0, -1).filter((event) => !event.startsWith(":"));
    for (const event of events) assert.match(event, /^(event: [^\n]*\n)?data: [^\n]*$/);
    const data = events.map((event) => event.replace(/^(event: .*\n)?data: /, ""));
    return data.filter((d) => d !== "[DONE]").map((d) => JSON.parse(d));
  }
}
