// A gateway in front of a real lockstep that can be slow, break off, or answer itself.
import { once } from 'node:events';
import http from 'node:http';

/**
 * Passes everything on to `upstream`. `delay` is the time between two events of a stream; `change`
 * may replace an event, and ends the connection by returning null; `answer` may answer a request
 * itself by returning true.
 */
export class Gateway {
  delay = 0;
  change = (event) => event;
  answer = () => false;
  requests = []; // {path, body, headers, left}: left is true once the client went before the end

  static async start(upstream) {
    const gateway = new Gateway();
    gateway.upstream = upstream;
    gateway.server = http.createServer((request, response) => void gateway.pass(request, response));
    gateway.server.listen(0, '127.0.0.1');
    await once(gateway.server, 'listening');
    gateway.url = `http://127.0.0.1:${gateway.server.address().port}`;
    return gateway;
  }
  reset() {
    this.delay = 0;
    this.change = (event) => event;
    this.answer = () => false;
    this.requests = [];
  }
  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
  sent(path) {
    return this.requests.filter((request) => request.path === path);
  }

  async pass(request, response) {
    let body = '';
    for await (const part of request) body += part;
    const record = { path: request.url, headers: request.headers, body: body && JSON.parse(body), left: false };
    this.requests.push(record);
    if (this.answer(record, response)) return;
    const gone = new AbortController();
    response.on('close', () => {
      record.left = !response.writableFinished;
      gone.abort();
    });
    try {
      const { host, connection, ...headers } = request.headers;
      const reply = await fetch(this.upstream + request.url, {
        method: request.method, headers, body: body || undefined, signal: gone.signal,
      });
      response.writeHead(reply.status, Object.fromEntries(
        [...reply.headers].filter(([name]) => !/^(connection|keep-alive|transfer-encoding|content-encoding|content-length)$/.test(name))));
      if (!/event-stream/.test(reply.headers.get('content-type'))) {
        response.end(Buffer.from(await reply.arrayBuffer()));
        return;
      }
      await this.stream(reply.body, response);
    } catch {
      response.destroy();
    }
  }

  async stream(body, response) {
    let rest = '';
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + part).split('\n\n');
      rest = events.pop();
      for (const event of events) {
        const changed = this.change(event);
        if (changed === null) return setTimeout(() => response.destroy(), 100); // the rest arrives
        response.write(`${changed}\n\n`);
        if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
        if (response.destroyed) return;
      }
    }
    response.end();
  }
}

/**
 * A streamed answer of the chat API, a token for each word. `thought` comes before it and `calls` of
 * tools behind it; `pause` may give a promise to wait for before the word of a number.
 */
export async function chatAnswer(response, words, { thought = [], calls = [], pause, finish, usage } = {}) {
  const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', system_fingerprint: 'ls3-chat' };
  const send = (json) => response.write(`data: ${JSON.stringify({ ...head, ...json })}\n\n`);
  const sendToken = (delta, word, i) => {
    const top_logprobs = [{ token: word, logprob: -0.25, bytes: [] }, { token: ' other', logprob: -2 - i, bytes: [] }];
    const content = [{ token: word, logprob: -0.25, bytes: [], top_logprobs }];
    send({ choices: [{ index: 0, delta, logprobs: { content }, finish_reason: null }] });
  };
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  send({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }] });
  thought.forEach((word, i) => sendToken({ reasoning_content: word }, word, i));
  for (const [i, word] of words.entries()) {
    if (pause) await pause(i);
    if (response.destroyed) return;
    sendToken({ content: word }, word, i);
  }
  calls.forEach(({ id, name, pieces }, index) => {
    sendToken({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }, name, 0);
    pieces.forEach((piece, i) => sendToken({ tool_calls: [{ index, function: { arguments: piece } }] }, piece, i));
  });
  send({ choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: finish ?? (calls.length > 0 ? 'tool_calls' : 'stop') }] });
  const completion_tokens = words.length + thought.length;
  send({ choices: [], usage: usage ?? { prompt_tokens: 9, completion_tokens, total_tokens: 9 + completion_tokens, prompt_tokens_details: { cached_tokens: 4 } } });
  response.end('data: [DONE]\n\n');
}
