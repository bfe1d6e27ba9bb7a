// The operator's view: what it shows is what /metrics says, and where keys are set it asks for one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { button, finished, gateway, lockedPage, lockstep, pageTest, send, set } from './harness.mjs';

const card = (page, title) => page.locator('.card', { has: page.getByRole('heading', { name: title, exact: true }) });
const toServer = (page) => page.getByRole('radio', { name: 'Server' }).check({ force: true });

pageTest('shows sessions, queue, tokens, memory and prefix hits as the server counts them', {}, async (page) => {
  await set(page, 'max_tokens', '30');
  await send(page, 'Once upon a time there was a king who had three sons');
  await finished(page);
  await send(page, 'Once upon a time there was a king who had three sons');
  await finished(page);
  await toServer(page);
  await card(page, 'Sessions').waitFor();
  const text = await (await fetch(`${lockstep.url}/metrics`)).text();
  const value = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)[1]);
  const number = (n) => n.toLocaleString('en');
  assert.match(await card(page, 'Sessions').innerText(), new RegExp(`0 of ${value('lockstep_sessions')} at work`));
  assert.match(await card(page, 'Tokens written').innerText(), new RegExp(`Since the start\\s+${number(value('lockstep_generated_tokens_total'))}\\b`));
  assert.match(await card(page, 'Memory').innerText(), /Sessions\s+0 B of 12 MiB\s+Prefixes kept\s+[\d.]+ MiB of 256 MiB/);
  assert.match(await card(page, 'Prefix hits').innerText(), new RegExp(`Tokens not read again\\s+${number(value('lockstep_prefix_hit_tokens_total'))}\\b`));
  const hits = value('lockstep_prefix_hit_tokens_total') / value('lockstep_prefix_query_tokens_total');
  assert.equal(parseFloat(await card(page, 'Prefix hits').locator('strong').innerText()), Number((hits * 100).toFixed(hits < 0.1 ? 1 : 0)));
  const { system_fingerprint } = (await (await fetch(`${lockstep.url}/v1/models`)).json()).data[0];
  assert.match(await page.locator('#server-summary').innerText(), new RegExp(`^State: ok · up \\d+ (s|min) · lockstep-tales · ${system_fingerprint}`));
  assert.ok(await page.locator('#composer').isHidden());
});

pageTest('counts while it is looked at, by the rates between two looks', {}, async (page) => {
  let generated = 1000;
  gateway.answer = ({ path }, response) => {
    if (path !== '/metrics') return false;
    generated += 100;
    response.end(`# TYPE x gauge\nlockstep_sessions 8\nlockstep_sessions_used 2\nlockstep_queue_requests 3\nlockstep_queue_tokens 4096\nlockstep_generated_tokens_total ${generated}\nlockstep_state{state="ok"} 0\nlockstep_state{state="draining"} 1\n`);
    return true;
  };
  await toServer(page);
  // A line that stays level has no height, which counts as hidden.
  await page.locator('.curve polyline[points*=" "]').first().waitFor({ state: 'attached' });
  const speed = Number(await card(page, 'Tokens written').locator('strong').innerText());
  assert.ok(speed >= 30 && speed <= 51, `${speed}`); // 100 tokens in 2 s and a little more
  assert.match(await card(page, 'Queue').innerText(), /3 requests wait\s+Tokens in it\s+4,096/);
  assert.match(await card(page, 'Sessions').innerText(), /2 of 8 at work/);
  assert.match(await page.locator('#server-summary').innerText(), /^State: draining/);
  const asked = gateway.sent('/metrics').length;
  await page.getByRole('radio', { name: 'Completion' }).check({ force: true });
  await page.waitForTimeout(2600);
  assert.ok(gateway.sent('/metrics').length <= asked + 1, 'it goes on asking');
});

test('shows the server where keys are set to those who have one', { timeout: 180_000 }, async (t) => {
  const page = await lockedPage(t, 'open-sesame');
  await toServer(page);
  await button(page, 'Enter the API key').click();
  assert.equal(await page.locator('.card').count(), 0);
  await page.keyboard.type('open-sesame');
  await page.keyboard.press('Tab');
  await card(page, 'Sessions').waitFor();
});
