// Streams of several clients at once, which the server ends in the middle because it must leave, or
// because their time is over.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Lockstep } from "../support/lockstep.mjs";

// What ends a stream: what was thrown, or the error among its parts.
async function follow(make, begun) {
  let last;
  try {
    for await (const part of await make()) {
      begun();
      if (part.type === "error" && part.error) return part.error;
      last = part;
    }
  } catch (error) {
    return error;
  } finally {
    begun();
  }
  return `no error, but ${JSON.stringify(last)}`;
}

export class CutStreams {
  // A client's fetch whose answers go on until the context is full.
  endless = (url, init) =>
    fetch(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), ignore_eos: true }) });

  // Two tests a client. clients: { NAME: [CLASS, { STREAM: () => stream }] }. The streams have to go
  // on for longer than the second that is left to them once all have begun.
  test(clients) {
    describe("by a server that leaves", () =>
      this.cut(clients, ["--drain-timeout", 1], /the server is shutting down/, () => this.server.process.kill("SIGTERM")));
    describe("by a deadline", () => this.cut(clients, ["--request-timeout", 1], /was not complete after 1 s/));
  }
  cut(clients, flags, words, end = () => {}) {
    const ends = {}; // what each stream ended with, as a promise, under the same names
    before(async () => {
      const count = Object.values(clients).reduce((sum, [, streams]) => sum + Object.keys(streams).length, 0);
      this.server = await Lockstep.start("--sessions", count, "--isa", "scalar", ...flags);
      const begun = [];
      for (const [client, [, streams]] of Object.entries(clients)) {
        ends[client] = {};
        for (const [name, make] of Object.entries(streams)) {
          begun.push(new Promise((resolve) => (ends[client][name] = follow(make, resolve))));
        }
      }
      Promise.all(begun).then(end);
    });
    after(() => this.server.stop());
    for (const [client, [kind, streams]] of Object.entries(clients)) {
      test(`${client} [errors]: a stream that is cut off ends in an error`, async () => {
        for (const name of Object.keys(streams)) {
          const error = await ends[client][name];
          assert.ok(error instanceof kind, `${name}: ${JSON.stringify(error)}`);
          assert.match(error.message ?? JSON.stringify(error), words);
        }
      });
    }
  }
}
