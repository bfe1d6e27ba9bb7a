// The page in a real browser, in front of a real server. Run by tests/page/run.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { answerText, button, conversations, finished, gateway, last, lockedPage, lockstep, pageTest, prompt, send, set } from './harness.mjs';
import './chat.mjs';
import './conversations.mjs';
import './looks.mjs';
import './markdown.mjs';
import './models.mjs';
import './server.mjs';
import './similarity.mjs';

pageTest('streams, and tells of tokens, speed and time to first token meanwhile', {}, async (page) => {
  gateway.delay = 15;
  await send(page, 'Once upon a time');
  await last(page).locator('.t:visible').nth(3).waitFor();
  const early = await answerText(page);
  assert.match(await last(page).locator('.facts').innerText(), /\d+ tokens[^]*\d tokens\/s[^]*first after \d+/);
  assert.equal(await page.locator('#send').innerText(), 'Stop');
  await last(page).locator('.t:visible').nth(15).waitFor();
  const later = await answerText(page);
  assert.ok(later.length > early.length && later.startsWith(early));
  await page.keyboard.press('Escape');
  await finished(page);
});

pageTest('Enter sends, Shift+Enter makes a line, markup stays text', {}, async (page) => {
  await prompt(page).fill('<img src=x onerror=alert(1)>');
  await prompt(page).press('Shift+Enter');
  await prompt(page).pressSequentially('& more');
  assert.equal(await page.locator('.exchange').count(), 0);
  await prompt(page).press('Enter');
  await finished(page);
  assert.equal(gateway.sent('/generate')[0].body.prompt, '<img src=x onerror=alert(1)>\n& more');
  assert.equal(await last(page).locator('.given').textContent(), '<img src=x onerror=alert(1)>\n& more');
  assert.equal(await page.locator('img').count(), 0);
  assert.equal(await prompt(page).inputValue(), '');
});

for (const how of ['button', 'Escape']) {
  pageTest(`stops by ${how}, and runs again to the same token`, {}, async (page) => {
    gateway.delay = 10;
    await send(page, 'Once upon a time');
    await last(page).locator('.t:visible').nth(8).waitFor();
    if (how === 'button') await button(page, 'Stop').click();
    else await page.keyboard.press('Escape');
    await finished(page);
    assert.match(await last(page).locator('.facts').innerText(), /stopped/);
    const count = await last(page).locator('.t').count();
    await page.waitForTimeout(100);
    assert.equal(await last(page).locator('.t').count(), count);
    assert.ok(gateway.sent('/generate')[0].left, 'the server was not told');
    gateway.delay = 0;
    await button(page, 'Run again, same bytes?').click();
    await last(page).locator('.check.equal').waitFor();
    assert.match(await last(page).locator('.verdict').innerText(), /^Same bytes up to where it was stopped$/);
    assert.match(await last(page).locator('.check').innerText(), new RegExp(`Tokens\\s+${count}\\s+${count}`));
  });
}

pageTest('runs again: equal bytes, both hashes and both fingerprints', {}, async (page) => {
  await send(page, 'Once upon a time');
  await finished(page);
  await button(page, 'Run again, same bytes?').click();
  await last(page).locator('.check.equal').waitFor();
  const [first, again] = gateway.sent('/generate');
  assert.deepEqual(first.body, again.body);
  const text = await answerText(page);
  const hash = createHash('sha256').update(text, 'utf8').digest('hex');
  const model = (await (await fetch(`${lockstep.url}/v1/models`)).json()).data[0];
  const codes = await last(page).locator('.check code').allInnerTexts();
  assert.deepEqual(codes, [hash, hash, model.system_fingerprint, model.system_fingerprint]);
  const { seed, prompt: sent, max_tokens } = first.body;
  const direct = await fetch(`${lockstep.url}/generate`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ prompt: sent, max_tokens, seed }),
  });
  assert.equal((await direct.json()).text, text);
});

pageTest('runs again: says where bytes differ', {}, async (page) => {
  await set(page, 'max_tokens', '12');
  await send(page, 'Once upon a time');
  await finished(page);
  gateway.change = (event) => event.replace(/("index":4,.*"logprobs":\{"token":)\d+/, '$13');
  await button(page, 'Run again, same bytes?').click();
  await last(page).locator('.check.unequal').waitFor();
  assert.match(await last(page).locator('.verdict').innerText(), /^Different bytes from token 5 on$/);
});

pageTest('tells each token’s probability on hover and by arrow keys', {}, async (page) => {
  await set(page, 'max_tokens', '20');
  await send(page, 'Once upon a time');
  await finished(page);
  const { body } = gateway.sent('/generate')[0];
  const direct = await fetch(`${lockstep.url}/generate`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...body, stream: false }),
  });
  const { logprobs } = await direct.json();
  const detail = (i) => `token ${logprobs[i].token}, logprob ${logprobs[i].logprob.toFixed(3)}`;
  const popover = page.locator('#popover');
  await last(page).locator('.t').nth(10).hover();
  await popover.waitFor();
  assert.equal(await popover.locator('p').innerText(), detail(10));
  assert.ok((await popover.locator('tr').count()) >= 5);
  assert.equal(await popover.locator('tr.chosen').count(), 1);
  const percent = parseFloat(await popover.locator('tr.chosen .percent').innerText());
  assert.ok(Math.abs(percent - 100 * Math.exp(logprobs[10].logprob)) < 0.06);
  await page.mouse.move(5, 5);
  await popover.waitFor({ state: 'hidden' });

  await last(page).locator('.text').focus();
  for (let i = 0; i < 3; ++i) await page.keyboard.press('ArrowRight');
  assert.equal(await popover.locator('p').innerText(), detail(2));
  await page.keyboard.press('ArrowLeft');
  assert.equal(await popover.locator('p').innerText(), detail(1));
  await page.keyboard.press('Escape');
  assert.ok(await popover.isHidden());
});

pageTest('sends the settings, and says what the server refuses', { refusals: true }, async (page) => {
  const values = { max_tokens: 5, temperature: 0.3, top_p: 0.5, min_p: 0.1, top_k: 7, repetition_penalty: 1.1, presence_penalty: 0.5, frequency_penalty: -0.5, seed: 99, logprobs: 2 };
  for (const [name, value] of Object.entries(values)) await set(page, name, String(value));
  await set(page, 'stop', 'The End\n\\n\\n');
  await set(page, 'logit_bias', '17: -5\n18 = 2.5');
  await page.locator('#ignore_eos').check();
  await send(page, 'Once');
  await finished(page);
  assert.deepEqual(gateway.sent('/generate')[0].body, {
    model: 'lockstep-tales', prompt: 'Once', ...values, stop: ['The End', '\n\n'], logit_bias: { 17: -5, 18: 2.5 }, ignore_eos: true, stream: true,
  });
  await set(page, 'top_p', '3');
  await send(page, 'Once');
  await page.locator('.failure').waitFor();
  assert.match(await page.locator('.failure').innerText(), /^Top_p must be a number of at least 0, at most 1\.\s+400[^]*top_p/);
  assert.equal(await button(page, 'Try again').count(), 0);
  assert.equal(await page.locator('#panel [aria-invalid]').getAttribute('id'), 'top_p');
  await button(page, 'Reset').click();
  assert.equal(await page.locator('#top_p').inputValue(), '0.95');
});

pageTest('waits as long as Retry-After says before it can be tried again', { refusals: true }, async (page) => {
  gateway.answer = ({ path }, response) => {
    if (path !== '/generate') return false;
    response.writeHead(429, { 'Content-Type': 'application/json', 'Retry-After': '1' });
    response.end('{"error":{"message":"the queue is full","type":"rate_limit_exceeded","param":null,"code":"queue_full"}}');
    return true;
  };
  await send(page, 'Once upon a time');
  const retry = page.getByRole('button', { name: /^Try again in 1 s$/ });
  await retry.waitFor();
  assert.ok(await retry.isDisabled());
  assert.match(await page.locator('.failure').innerText(), /^The queue is full\.\s+429 · queue_full/);
  gateway.answer = () => false;
  await button(page, 'Try again').click();
  await finished(page);
  assert.equal(await page.locator('.failure').count(), 0);
  assert.equal(await page.locator('.exchange').count(), 1);
});

pageTest('keeps what came before a stream broke, and before an error event', { refusals: true }, async (page) => {
  for (const [ending, says] of [
    [null, /^The connection broke before the answer was complete\./],
    ['data: {"error":{"message":"the deadline passed","type":"server_error","param":null,"code":"deadline_exceeded"}}', /^The deadline passed\.\s+200 · deadline_exceeded/],
  ]) {
    let events = 0;
    gateway.change = (event) => (++events > 6 ? ending : event);
    await send(page, 'Once upon a time');
    await last(page).locator('.failure').waitFor();
    assert.match(await last(page).locator('.failure').innerText(), says);
    assert.equal(await last(page).locator('.t').count(), 6);
  }
});

pageTest('says that the server is away', { refusals: true }, async (page) => {
  await page.route('**/generate', (route) => route.abort('connectionrefused'));
  await send(page, 'Once upon a time');
  await page.locator('.failure').waitFor();
  assert.match(await page.locator('.failure').innerText(), /^The server cannot be reached/);
});

test('asks for the API key, and keeps it for this tab alone', { timeout: 180_000 }, async (t) => {
  const page = await lockedPage(t, 'open-sesame');
  await page.getByRole('radio', { name: 'Completion' }).check({ force: true });
  await send(page, 'Once upon a time');
  await button(page, 'Enter the API key').click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
  await page.keyboard.type('open-sesame');
  await button(page, 'Try again').click();
  await finished(page);
  assert.ok((await answerText(page)).length > 0);
  await page.locator('#model strong').waitFor();
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes('sesame'));
  await page.reload();
  assert.equal(await page.locator('#key').inputValue(), 'open-sesame');
});

pageTest('keeps the conversation over a reload; edits, regenerates, deletes and brings back', {}, async (page) => {
  await set(page, 'max_tokens', '24'); // else an answer may fill the context, behind which nothing goes on
  await send(page, 'Once upon a time');
  await finished(page);
  const text = await answerText(page);
  await page.reload();
  await page.locator('.exchange').waitFor();
  assert.equal(await answerText(page), text);
  await last(page).locator('.t:visible').nth(4).hover();
  await page.locator('#popover').waitFor();

  await button(page, 'Regenerate').click();
  await finished(page);
  assert.equal(await page.locator('.exchange').count(), 1);
  const [first, second] = gateway.sent('/generate');
  assert.equal(first.body.prompt, second.body.prompt);
  assert.notEqual(first.body.seed, second.body.seed);

  const whole = 'Once upon a time' + (await answerText(page));
  await button(page, 'Continue').click();
  await finished(page);
  assert.equal(gateway.sent('/generate')[2].body.prompt, whole);

  // What is edited stays as a branch.
  await prompt(page).focus();
  await page.keyboard.press('ArrowUp');
  assert.equal(await prompt(page).inputValue(), whole);
  await page.locator('#editing').waitFor();
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('#editing').isHidden());
  assert.equal(await prompt(page).inputValue(), '');

  await page.locator('#conversations li').hover();
  await page.getByRole('button', { name: /^Delete / }).click();
  await page.locator('.welcome').waitFor();
  assert.equal(await conversations(page).count(), 0);
  await button(page, 'Undo').click();
  await page.locator('.exchange').nth(1).waitFor();
  assert.equal(await page.locator('.exchange').count(), 2);
});

pageTest('takes thousands of tokens, and keeps them over a reload', {}, async (page) => {
  const kTokens = 5000;
  gateway.answer = ({ path }, response) => {
    if (path !== '/generate') return false;
    const top = Array.from({ length: 5 }, (_, i) => ({ token: i, text: ` word${i}`, logprob: -1 - i, bytes: [] }));
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    let text = '';
    for (let i = 0; i < kTokens; ++i) {
      const piece = i % 100 === 99 ? '\n' : ` word${i % 5}`;
      text += piece;
      response.write(`data: ${JSON.stringify({ index: i, token: i % 5, text: piece, logprobs: { token: i % 5, text: piece, logprob: -1, top } })}\n\n`);
    }
    const usage = { prompt_tokens: 1, completion_tokens: kTokens };
    response.end(`data: ${JSON.stringify({ text, tokens: [], finish_reason: 'length', usage, seed: 1, system_fingerprint: 'f', done: true })}\n\n`);
    return true;
  };
  await send(page, 'x');
  await finished(page);
  assert.equal(await last(page).locator('.t').count(), kTokens);
  const text = await last(page).locator('.text').textContent();
  await send(page, 'y');
  await finished(page);
  await page.reload();
  await page.locator('.exchange').nth(1).waitFor();
  assert.equal(await page.locator('.exchange').count(), 2);
  assert.equal(await page.locator('.exchange .text').first().textContent(), text);
});

pageTest('the theme can be chosen and stays', { colorScheme: 'light' }, async (page) => {
  const scheme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  await page.locator('#theme').click();
  assert.equal(await scheme(), 'light');
  await page.locator('#theme').click();
  assert.equal(await scheme(), 'dark');
  await page.reload();
  assert.equal(await scheme(), 'dark');
});

pageTest('everything can be reached with the Tab key', {}, async (page) => {
  await set(page, 'seed', '1');
  await send(page, 'Once upon a time');
  await finished(page);
  await prompt(page).focus();
  const reached = new Set();
  for (let i = 0; i < 60; ++i) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.textContent));
  }
  for (const id of ['send', 'attach', 'temperature', 'key', 'theme', 'toggle-sidebar', 'toggle-panel', 'new', 'name', 'export', 'import', 'text', 'skip']) {
    assert.ok([...reached].some((name) => name.split(' ').includes(id)), `${id} is not among ${[...reached].join(', ')}`);
  }
});

test('is sent with its headers, and again only when it changed', async () => {
  // As browsers send it, but for the encoding.
  const headers = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'Accept-Encoding': 'identity' };
  const reply = await fetch(lockstep.url, { headers });
  assert.match(reply.headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-/);
  assert.equal(reply.headers.get('x-content-type-options'), 'nosniff');
  const html = await reply.text();
  assert.ok(html.length < 400_000, `${html.length} bytes`); // most of it the libraries for Markdown and math
  const etag = reply.headers.get('etag');
  const again = await fetch(lockstep.url, { headers: { ...headers, 'If-None-Match': etag } });
  assert.deepEqual([again.status, await again.text()], [304, '']);
  const head = await fetch(lockstep.url, { method: 'HEAD', headers });
  assert.deepEqual([head.status, head.headers.get('etag'), Number(head.headers.get('content-length'))], [200, etag, Buffer.byteLength(html)]);
  const packed = await fetch(lockstep.url, { headers: { ...headers, 'Accept-Encoding': 'gzip' } });
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.ok(Number(packed.headers.get('content-length')) < 160_000, packed.headers.get('content-length'));
  assert.equal(await packed.text(), html);
  // Others ask whether a server is there.
  assert.equal(await (await fetch(lockstep.url)).text(), 'Ollama is running');
});
