// A stream that goes on at another replica when its own breaks off, with fetch, as in a browser,
// whose own EventSource cannot send a body. usage: node resuming.mjs URL BODY; prints the text.
import { createParser } from "eventsource-parser";

const TRIES = 60;
const REFUSALS = [429, 502, 503, 504, 529]; // of who has no place just now
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The events of a stream, {id, data}, each once, however often it breaks off. */
export async function* events(url, body, headers = {}) {
  let last = "";
  for (let tried = 0; tried < TRIES; ++tried) {
    try {
      const reply = await fetch(url, {
        method: "POST", body,
        headers: { "content-type": "application/json", accept: "text/event-stream", ...headers,
                   ...(last && { "last-event-id": last }) } });
      if (REFUSALS.includes(reply.status)) {
        await pause(Number(reply.headers.get("retry-after") ?? 0.2));
        continue;
      }
      if (reply.status !== 200) throw new RangeError(`${reply.status} ${await reply.text()}`);
      const whole = [];
      const parser = createParser({ onEvent: (event) => whole.push(event) });
      for await (const text of reply.body.pipeThrough(new TextDecoderStream())) {
        parser.feed(text);
        for (const event of whole.splice(0)) {
          last = event.id ?? last;
          yield event;
        }
      }
      return;
    } catch (error) { // fetch and the body's reader throw a TypeError where a connection breaks
      if (!(error instanceof TypeError)) throw error;
      await pause(0.1);
    }
  }
  throw new RangeError(`${url}: the stream broke off ${TRIES} times`);
}

if (process.argv[1]?.endsWith("resuming.mjs")) {
  const [url, body, session] = process.argv.slice(2);
  let text = "";
  for await (const { data } of events(url, body, session ? { "x-session-id": session } : {})) {
    if (data !== "[DONE]") text += JSON.parse(data).choices[0]?.text ?? "";
  }
  process.stdout.write(text);
}
