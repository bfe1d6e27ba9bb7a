// A lockstep process on a free port of the loopback interface, for tests in JavaScript.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

export class Lockstep {
  log = ""; // what it has written to stderr

  // Ready when it returns. The binary is $LOCKSTEP. REQUIRES: `flags` name no port.
  static async start(...flags) {
    const server = new this();
    const port = await freePort();
    server.url = `http://127.0.0.1:${port}`;
    server.process = spawn(process.env.LOCKSTEP, ["--port", port, ...flags]);
    server.process.stderr.on("data", (data) => (server.log += data));
    server.process.stdout.resume();
    const deadline = Date.now() + 60_000;
    while (!(await fetch(`${server.url}/readyz`).then((r) => r.ok, () => false))) {
      if (server.process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`lockstep does not start:\n${server.log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return server;
  }

  async stop() {
    this.process.kill("SIGTERM");
    if (this.process.exitCode === null) await once(this.process, "exit");
  }
}
