// What /generate says to the same request: the defaults of OpenAI's routes, in its own words.
export const SAMPLING = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
export const PROMPT = "Once upon a time there was";

export const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
export const joined = (parts) => parts.join("");

export async function collect(stream) {
  const all = [];
  for await (const item of stream) all.push(item);
  return all;
}

// Requests of many kinds that run beside what is tested, until stopped.
export function neighbours(server, count) {
  let stopped = false;
  const runs = Array.from({ length: count }, async (_, i) => {
    for (let round = 0; !stopped; ++round) {
      await fetch(`${server.url}/generate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          prompt: "The king said to his daughter: ".repeat(1 + (i % 5)),
          max_tokens: 20 + 5 * i,
          seed: 1000 * i + round,
          temperature: i % 3,
          stream: i % 2 === 0,
        }),
      }).then((response) => response.text());
    }
  });
  return async () => {
    stopped = true;
    await Promise.all(runs);
  };
}
