// Conversations: what the model is told of them, and what can be done where it does not take more.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { answerText, browser, button, conversations, finished, gateway, kDesktop, last, lockstep, openSettings, pageTest, prompt, proseText, send, set } from './harness.mjs';
import { chatAnswer } from './gateway.mjs';

pageTest('chats: system prompt, history, usage, and the same bytes again', { mode: 'chat' }, async (page) => {
  gateway.answer = ({ path, body }, response) => {
    if (path !== '/v1/chat/completions') return false;
    chatAnswer(response, body.messages.length > 2 ? ['And', ' again', '.'] : ['Good', ' day', ' <b>to</b>', ' you.']);
    return true;
  };
  await set(page, 'system', 'Be brief.');
  await send(page, 'Hello!');
  await finished(page);
  assert.equal(await proseText(page), 'Good day <b>to</b> you.');
  assert.match(await last(page).locator('.facts').innerText(), /^4 tokens[^]*prompt 9, 4 from cache[^]*ended by itself[^]*seed \d+/);
  await send(page, 'Once more');
  await finished(page);
  const { body } = gateway.sent('/v1/chat/completions')[1];
  assert.deepEqual(body.messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello!' },
    { role: 'assistant', content: 'Good day <b>to</b> you.' },
    { role: 'user', content: 'Once more' },
  ]);
  assert.deepEqual([body.logprobs, body.top_logprobs, body.stream, body.stream_options.include_usage, body.max_tokens], [true, 5, true, true, 384]); // of a small context, three quarters
  await last(page).getByRole('button', { name: 'Tokens' }).click();
  await last(page).locator('.t').first().hover();
  assert.match(await page.locator('#popover').innerText(), /And\s+77\.9%\s+␣other\s+13\.5%/);
  await last(page).getByRole('button', { name: 'Run again, same bytes?' }).click();
  await last(page).locator('.check.equal').waitFor();
  assert.match(await last(page).locator('.check').innerText(), /ls3-chat\s+ls3-chat/);
});

pageTest('chats with the real server, and gets the same bytes again', { mode: 'chat' }, async (page) => {
  await send(page, 'Tell me a tale of a king.');
  await finished(page);
  const { body } = gateway.sent('/v1/chat/completions')[0];
  const direct = await fetch(`${lockstep.url}/v1/chat/completions`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...body, stream: false, stream_options: undefined }),
  });
  const text = (await direct.json()).choices[0].message.content;
  const words = (of) => of.split(/\s+/).filter(Boolean);
  assert.deepEqual(words(await proseText(page)), words(text));
  await button(page, 'Run again, same bytes?').click();
  await last(page).locator('.check.equal').waitFor();
  const hash = createHash('sha256').update(text, 'utf8').digest('hex');
  const model = (await (await fetch(`${lockstep.url}/v1/models`)).json()).data[0];
  assert.equal(model.chat, true);
  const codes = await last(page).locator('.check code').allInnerTexts();
  assert.deepEqual(codes, [hash, hash, model.system_fingerprint, model.system_fingerprint]);
});

pageTest('says why a model cannot chat, and takes the text over to completion', { mode: 'chat', refusals: true }, async (page) => {
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/chat/completions') return false;
    response.writeHead(400, { 'Content-Type': 'application/json' });
    response.end('{"error":{"message":"the model has no chat template","type":"invalid_request_error","param":null,"code":null}}');
    return true;
  };
  await send(page, 'Once upon a time');
  await page.locator('.failure').waitFor();
  assert.match(await page.locator('.failure').innerText(), /^The model has no chat template\./);
  await button(page, 'Use completion instead').click();
  assert.equal(await prompt(page).inputValue(), 'Once upon a time');
  await prompt(page).press('Enter');
  await finished(page);
  assert.ok((await answerText(page)).length > 0);
});

/** Talks until the context of the real server is full: how many turns there are then. */
async function fill(page) {
  await openSettings(page);
  await page.locator('#ignore_eos').check();
  for (let turns = 0; ; ++turns) {
    await send(page, `Tell me the ${turns + 1}. tale of the king.`);
    await finished(page);
    if ((await page.locator('.failure').count()) > 0) return turns;
  }
}

pageTest('says that the context is full, and leaves out the oldest turns', { mode: 'chat', refusals: true }, async (page) => {
  await set(page, 'system', 'Be brief.');
  const turns = await fill(page);
  assert.ok(turns >= 2, `${turns} turns`);
  const { context_length } = (await (await fetch(`${lockstep.url}/v1/models`)).json()).data[0];
  assert.match(await page.locator('.failure').innerText(), new RegExp(`^The context is full[^]*maximum context length is ${context_length} tokens`));
  assert.equal(await button(page, 'Use completion instead').count(), 0);
  const refused = gateway.sent('/v1/chat/completions').at(-1).body.messages;
  await button(page, 'Leave out the oldest turns').click();
  await finished(page);
  assert.equal(await page.locator('.failure').count(), 0);
  assert.equal(await last(page).locator('.prompt').innerText(), `Tell me the ${turns + 1}. tale of the king.`);
  // The system prompt stays, and what remains begins with what a person said.
  const { messages } = gateway.sent('/v1/chat/completions').at(-1).body;
  const dropped = 2 * Math.ceil(turns / 2);
  assert.deepEqual(messages, [refused[0], ...refused.slice(1 + dropped)]);
  assert.equal(await page.locator('.left-out').count(), dropped / 2);
  assert.equal(await page.locator('.exchange').count(), turns + 1);
  await page.reload();
  await page.locator('.exchange').first().waitFor();
  assert.equal(await page.locator('.left-out').count(), dropped / 2);
  await send(page, 'And then?');
  await finished(page);
  assert.ok(gateway.sent('/v1/chat/completions').at(-1).body.messages.every(({ content }) => !content.includes('the 1. tale')));
});

pageTest('begins a new chat where the context is full, and keeps the old one', { mode: 'chat', refusals: true }, async (page) => {
  const turns = await fill(page);
  await button(page, 'Begin a new chat with this message').click();
  await finished(page);
  assert.deepEqual(gateway.sent('/v1/chat/completions').at(-1).body.messages, [{ role: 'user', content: `Tell me the ${turns + 1}. tale of the king.` }]);
  assert.equal(await page.locator('.exchange').count(), 1);
  await conversations(page).filter({ hasText: 'Tell me the 1. tale' }).click();
  await page.locator('.exchange').nth(turns - 1).waitFor();
  assert.equal(await page.locator('.exchange').count(), turns); // without the message that went elsewhere
});

pageTest('does not offer to leave out what is not there', { mode: 'chat', refusals: true }, async (page) => {
  await send(page, 'a king and '.repeat(400));
  await page.locator('.failure').waitFor();
  assert.match(await page.locator('.failure').innerText(), /^Prompt is too long: \d+ tokens/);
  assert.equal(await page.locator('.failure button').count(), 0);
  await button(page, 'Edit').click();
  assert.match(await prompt(page).inputValue(), /^a king and a king/);
});

test('begins with chat where the model chats, and says where it does not', { timeout: 180_000 }, async (t) => {
  for (const chat of [true, false]) {
    gateway.answer = ({ path }, response) => {
      if (path !== '/v1/models') return false;
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ data: [{ id: 'm', context_length: 8, system_fingerprint: 'f', chat }] }));
      return true;
    };
    const context = await browser.newContext(kDesktop);
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(gateway.url);
    await page.locator('#model strong').waitFor();
    const radio = page.getByRole('radio', { name: 'Chat' });
    assert.equal(await radio.isChecked(), chat);
    await radio.check({ force: true });
    assert.equal(await page.getByRole('heading', { name: 'This model does not chat' }).count(), chat ? 0 : 1);
  }
});
