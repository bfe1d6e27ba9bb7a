// Stands between an agent and the server, hands on what both say, and keeps it.
import { once } from "node:events";
import { createServer, request as connect } from "node:http";

export class Recorder {
  exchanges = []; // in the order in which they began

  static async start(url) {
    const recorder = new Recorder();
    recorder.listener = createServer((request, reply) => recorder.#handOn(url, request, reply));
    recorder.listener.listen(0, "127.0.0.1");
    await once(recorder.listener, "listening");
    recorder.url = `http://127.0.0.1:${recorder.listener.address().port}`;
    return recorder;
  }

  stop() {
    this.listener.closeAllConnections();
    this.listener.close();
  }

  // For a message about a failure.
  toString() {
    return this.exchanges.map((exchange) => exchange.toString()).join("\n");
  }

  async #handOn(url, request, reply) {
    const { method, headers, url: path } = request;
    const exchange = new Exchange(method, path);
    this.exchanges.push(exchange);
    exchange.body = Buffer.concat(await request.toArray()).toString();
    const onward = connect(url + path, { method, headers: { ...headers, host: new URL(url).host } });
    onward.on("response", (answer) => {
      exchange.status = answer.statusCode;
      reply.writeHead(answer.statusCode, answer.headers);
      answer.on("data", (data) => (exchange.answer += data));
      answer.pipe(reply);
    });
    onward.on("error", () => reply.destroy());
    reply.on("close", () => onward.destroy());
    onward.end(exchange.body);
  }
}

class Exchange {
  answer = ""; // its body, as far as it came

  constructor(method, path) {
    Object.assign(this, { method, path });
  }

  // The JSON that was sent, or {} where there was none.
  get sent() {
    return this.body?.length > 0 ? JSON.parse(this.body) : {};
  }

  // {prompt, cached}: tokens of the prompt and those of them that were not computed, as the answer
  // has them in the words of its protocol.
  get usage() {
    const usages = this.answer.split("\n").flatMap((line) => {
      const text = line.replace(/^data: */, "");
      if (!text.startsWith("{")) return [];
      const event = JSON.parse(text);
      return event.usage ?? event.message?.usage ?? event.response?.usage ?? [];
    });
    const usage = Object.assign({}, ...usages);
    if ("prompt_tokens" in usage) {
      return { prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details.cached_tokens };
    }
    if ("input_tokens_details" in usage) {
      return { prompt: usage.input_tokens, cached: usage.input_tokens_details.cached_tokens };
    }
    const cached = usage.cache_read_input_tokens;
    return { prompt: usage.input_tokens + usage.cache_creation_input_tokens + cached, cached };
  }

  toString() {
    const [sent, answer] = [this.body, this.answer].map(shortened);
    return `${this.method} ${this.path} ${this.status}\n> ${sent}\n< ${answer}`;
  }
}

const END = 2000;
const shortened = (text) =>
  text.length > 2 * END ? `${text.slice(0, END)} ... ${text.slice(-END)}` : text;
