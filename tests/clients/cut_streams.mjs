// Streams of several clients at once, which the server ends in the middle because it must leave.
import { Server } from "./server.mjs";

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
  // clients: { NAME: [CLASS, { STREAM: () => stream }] }. The streams have to go on for longer than
  // the second that is left to them once all have begun.
  static async start(clients) {
    const run = new this();
    const count = Object.values(clients).reduce((sum, [, streams]) => sum + Object.keys(streams).length, 0);
    run.server = await Server.start("--sessions", count, "--drain-timeout", 1, "--isa", "scalar");
    run.clients = clients;
    return run;
  }

  ends = {}; // what each stream ended with, as a promise, under the same names

  begin() {
    const begun = [];
    for (const [client, [, streams]] of Object.entries(this.clients)) {
      this.ends[client] = {};
      for (const [name, make] of Object.entries(streams)) {
        begun.push(new Promise((resolve) => (this.ends[client][name] = follow(make, resolve))));
      }
    }
    Promise.all(begun).then(() => this.server.process.kill("SIGTERM"));
  }
}
