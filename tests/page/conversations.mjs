// Several conversations: names, branches, files, export and import, and answers that go on meanwhile.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { button, conversations, finished, gateway, last, pageTest, prompt, proseText, send, set } from './harness.mjs';
import { chatAnswer } from './gateway.mjs';
import { answerWith } from './markdown.mjs';

const messages = () => gateway.sent('/v1/chat/completions').at(-1).body.messages.map(({ role, content }) => `${role}: ${content}`);
/** Answers with the number of the request. */
function count() {
  let n = 0;
  answerWith(() => [`answer ${++n}`]);
}
async function talk(page, ...texts) {
  for (const text of texts) {
    await send(page, text);
    await finished(page);
  }
}

pageTest('keeps several conversations apart, with names, over a reload', { mode: 'chat' }, async (page) => {
  count();
  for (const first of ['Rivers of Europe', 'A cake\nwith cherries', 'x'.repeat(90)]) {
    await talk(page, first, 'More');
    await button(page, 'New conversation').first().click();
  }
  assert.deepEqual(await conversations(page).allInnerTexts(), [`${'x'.repeat(59)}…`, 'A cake', 'Rivers of Europe']);
  await conversations(page).last().click();
  await page.locator('.exchange').nth(1).waitFor();
  await talk(page, 'And of Asia?');
  assert.deepEqual(messages(), ['user: Rivers of Europe', 'assistant: answer 1', 'user: More', 'assistant: answer 2', 'user: And of Asia?']);
  assert.equal(await conversations(page).first().innerText(), 'Rivers of Europe');
  await page.locator('#conversations li').first().hover();
  await button(page, 'Rename Rivers of Europe').click();
  await page.keyboard.type('Waters');
  await page.keyboard.press('Enter');
  await conversations(page).filter({ hasText: 'Waters' }).waitFor();
  await page.reload();
  await page.locator('.exchange').nth(2).waitFor();
  assert.deepEqual(await conversations(page).allInnerTexts(), ['Waters', `${'x'.repeat(59)}…`, 'A cake']);
  assert.equal(await proseText(page), 'answer 7');
});

pageTest('takes nothing for the conversation before while another is read from a slow disk', { mode: 'chat' }, async (page) => {
  count();
  await talk(page, 'one');
  await page.getByRole('radio', { name: 'Completion' }).check({ force: true });
  await page.locator('#prompt[placeholder="Begin a text"]').waitFor();
  await page.evaluate(() => {
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = function (key) {
      const request = get.call(this, key);
      return { set onsuccess(done) { request.onsuccess = () => setTimeout(done, 700); }, get result() { return request.result; } };
    };
  });
  await page.getByRole('radio', { name: 'Chat' }).check({ force: true });
  await prompt(page).focus();
  await page.keyboard.type('lost');
  await page.keyboard.press('Enter');
  await send(page, 'two'); // which waits until it can be written
  await finished(page);
  assert.deepEqual(messages(), ['user: one', 'assistant: answer 1', 'user: two']);
  assert.equal(gateway.sent('/generate').length, 0);
  // The last turn holds, though what was asked for first is read last.
  await page.getByRole('radio', { name: 'Completion' }).check({ force: true });
  await page.locator('#prompt[placeholder="Begin a text"]').waitFor();
  await page.getByRole('radio', { name: 'Chat' }).check({ force: true });
  await page.getByRole('radio', { name: 'Server' }).check({ force: true });
  await page.waitForTimeout(1000);
  assert.ok(await page.locator('#composer').isHidden());
});

pageTest('branches where a message is edited or an answer made anew', { mode: 'chat' }, async (page) => {
  count();
  await talk(page, 'one', 'two', 'three');
  const exchange = (i) => page.locator('.exchange').nth(i);
  await exchange(1).hover();
  await exchange(1).getByRole('button', { name: 'Edit' }).click();
  await prompt(page).fill('two, but different');
  await prompt(page).press('Enter');
  await finished(page);
  assert.equal(await page.locator('.exchange').count(), 2);
  assert.deepEqual(messages(), ['user: one', 'assistant: answer 1', 'user: two, but different']);
  assert.equal(await last(page).locator('.branches').innerText(), '2 / 2');
  await button(page, 'Regenerate').last().click();
  await finished(page);
  assert.equal(await last(page).locator('.branches').innerText(), '3 / 3');
  assert.equal(await proseText(page), 'answer 5');
  const { body: first } = gateway.sent('/v1/chat/completions')[3];
  const { body: anew } = gateway.sent('/v1/chat/completions')[4];
  assert.deepEqual({ ...anew, seed: 0 }, { ...first, seed: 0 });
  assert.notEqual(anew.seed, first.seed);
  // Back to the first branch, whose continuation is there, and stays chosen.
  await button(page, 'The next branch').last().click();
  assert.equal(await page.locator('.exchange').count(), 3);
  assert.deepEqual(await page.locator('.prompt').allInnerTexts(), ['one', 'two', 'three']);
  await talk(page, 'four');
  assert.deepEqual(messages().filter((of) => of.startsWith('user')), ['user: one', 'user: two', 'user: three', 'user: four']);
  await page.reload();
  await page.locator('.exchange').nth(3).waitFor();
  assert.equal(await exchange(1).locator('.branches').innerText(), '1 / 3');
});

pageTest('sends files of text with a message, and refuses others', { mode: 'chat' }, async (page) => {
  answerWith(['Read.']);
  const attach = (...files) => page.getByLabel('Files of text', { exact: true }).setInputFiles(files.map(([name, text]) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(text) })));
  await attach(['a.py', 'x = "```"\n'], ['b.txt', 'Grüße']);
  await page.locator('#files li').nth(1).waitFor();
  await attach(['c.bin', [0x41, 0, 0x42]]);
  await page.locator('#toast', { hasText: 'c.bin is no file of text.' }).waitFor();
  await attach(['d.png', [0xff, 0xd8, 0xff]]);
  await page.locator('#toast', { hasText: 'd.png is no file of text in UTF-8.' }).waitFor();
  await attach(['e.txt', 'never']);
  await page.getByRole('button', { name: 'Take e.txt away' }).click();
  assert.equal(await page.locator('#files li').count(), 2);
  await talk(page, 'What is this?');
  assert.deepEqual(messages(), ['user: a.py:\n````\nx = "```"\n````\n\nb.txt:\n```\nGrüße\n```\n\nWhat is this?']);
  assert.deepEqual(await last(page).locator('.file summary').allInnerTexts(), ['a.py', 'b.txt']);
  assert.ok(await page.locator('#files').isHidden());
  await button(page, 'Edit').click();
  assert.equal(await page.locator('#files li').count(), 2);
});

pageTest('takes a text that is pasted with a picture, or dragged, as a text', { mode: 'chat' }, async (page) => {
  answerWith(['ok']);
  const prevented = (event, text, file) => prompt(page).evaluate((element, [event, text, file]) => {
    const data = new DataTransfer();
    if (text) data.setData('text/plain', text);
    if (file) data.items.add(new File([file], 'file.txt', { type: 'text/plain' }));
    const made = event === 'paste' ? new ClipboardEvent(event, { clipboardData: data, bubbles: true, cancelable: true })
      : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true });
    return !element.dispatchEvent(made);
  }, [event, text, file]);
  assert.deepEqual([await prevented('paste', 'a\tb', 'picture'), await prevented('dragover', 'text'), await prevented('drop', 'text')], [false, false, false]);
  assert.equal(await page.locator('#files li').count(), 0);
  assert.deepEqual([await prevented('paste', '', 'one'), await prevented('dragover', '', 'two'), await prevented('drop', '', 'two')], [true, true, true]);
  await page.locator('#files li').nth(1).waitFor();
});

pageTest('sends a file of a million characters of code', { mode: 'chat' }, async (page) => {
  answerWith(['ok']);
  await page.locator('#composer input[type=file]').setInputFiles({ name: 'a.md', mimeType: 'text/plain', buffer: Buffer.from('`a` '.repeat(250_000)) });
  await page.locator('#files li').waitFor();
  await send(page, 'what is it?');
  await finished(page);
  assert.equal(await proseText(page), 'ok');
});

pageTest('exports all conversations, and imports them beside what is there', { mode: 'chat' }, async (page) => {
  count();
  await talk(page, 'one', 'two');
  await button(page, 'Regenerate').last().click();
  await finished(page);
  const path = `${process.env.SCREENSHOTS}/export.json`;
  const saved = async (click) => {
    const [download] = await Promise.all([page.waitForEvent('download'), click()]);
    await download.saveAs(path);
    return [download.suggestedFilename(), readFileSync(path, 'utf8')];
  };
  await page.locator('#conversations li').hover();
  assert.deepEqual(await saved(() => button(page, 'Export one').click()),
    ['one.md', '# one\n\n**You**\n\none\n\n**Model**\n\nanswer 1\n\n---\n\n**You**\n\ntwo\n\n**Model**\n\nanswer 3\n']);
  const [name, file] = await saved(() => button(page, 'Export all').click());
  assert.match(name, /^lockstep-\d{4}-\d\d-\d\d\.json$/);
  assert.equal(JSON.parse(file).conversations[0].exchanges.length, 3);
  const take = (text) => {
    writeFileSync(path, text);
    return page.getByLabel('File to import').setInputFiles(path);
  };
  await take(file);
  await page.locator('#toast', { hasText: '1 conversation imported.' }).waitFor();
  assert.deepEqual(await conversations(page).allInnerTexts(), ['one', 'one']);
  await conversations(page).last().click();
  await page.locator('.exchange').nth(1).waitFor();
  await conversations(page).first().click();
  await page.locator('.exchange').nth(1).waitFor();
  assert.deepEqual([await proseText(page), await last(page).locator('.branches').innerText()], ['answer 3', '2 / 2']);
  await take('{');
  await page.locator('#toast', { hasText: 'export.json is no JSON.' }).waitFor();
  await take('{"conversations": []}');
  await page.locator('#toast', { hasText: 'is no export of this page.' }).waitFor();
  await take(file.replace('"prompt": "one"', '"prompt": 1'));
  await page.locator('#toast', { hasText: 'has a conversation that is broken: one.' }).waitFor();
  await take('{"format": "lockstep conversations 1", "conversations": [null]}');
  await page.locator('#toast', { hasText: 'has a conversation that is broken: without a title.' }).waitFor();
  // What was drawn from it would throw, and again after each reload.
  const wrongs = {
    firstTokenMs: '5', perSecond: {}, thoughtMs: 'long', timings: { queue_ms: 'x' }, usage: 5, begun: { text: 5 }, seed: {},
    finish: {}, fingerprint: 7, failure: { message: {}, status: 0 }, request: { path: 'generate', body: { seed: { toString: 1 } } },
  };
  for (const [field, value] of Object.entries(wrongs)) {
    const broken = JSON.parse(file);
    broken.conversations[0].title = field;
    broken.conversations[0].exchanges[0].answer[field] = value;
    await take(JSON.stringify(broken));
    await page.locator('#toast', { hasText: `has a conversation that is broken: ${field}.` }).waitFor();
  }
  assert.equal(await conversations(page).count(), 2);
  const { perSecond, timings } = JSON.parse(file).conversations[0].exchanges[0].answer;
  const nulls = { firstTokenMs: null, usage: null, failure: null, ...(perSecond && { perSecond: null }), ...(timings && { timings: null }) };
  const less = JSON.parse(file);
  less.conversations[0].exchanges.forEach(({ answer }) => Object.assign(answer, nulls));
  await take(JSON.stringify(less));
  await page.locator('#toast', { hasText: '1 conversation imported.' }).waitFor();
});

pageTest('stops, keeps what came, and goes on from there', { mode: 'chat' }, async (page) => {
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/chat/completions') return false;
    const forever = new Promise((resolve) => response.on('close', resolve));
    chatAnswer(response, ['Half', ' an', ' answer', ' never'], { pause: (i) => (i === 3 ? forever : undefined) });
    return true;
  };
  await send(page, 'Tell me');
  await last(page).locator('.prose', { hasText: 'Half an answer' }).waitFor();
  await button(page, 'Stop').click();
  await finished(page);
  assert.equal(await proseText(page), 'Half an answer');
  await page.reload();
  await page.locator('.exchange').waitFor();
  assert.equal(await proseText(page), 'Half an answer');
  answerWith([', and the', ' rest.']);
  await button(page, 'Continue').click();
  await finished(page);
  assert.equal(await proseText(page), 'Half an answer, and the rest.');
  const { body } = gateway.sent('/v1/chat/completions').at(-1);
  assert.deepEqual([body.continue_final_message, body.messages.at(-1)], [true, { role: 'assistant', content: 'Half an answer' }]);
  assert.equal(await page.locator('.branches').count(), 0);
  await talk(page, 'Thanks');
  assert.deepEqual(messages(), ['user: Tell me', 'assistant: Half an answer, and the rest.', 'user: Thanks']);
});

pageTest('goes on with an answer while another conversation is read', { mode: 'chat' }, async (page) => {
  count();
  await talk(page, 'first');
  await button(page, 'New conversation').first().click();
  let go;
  const wait = new Promise((resolve) => (go = resolve));
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/chat/completions') return false;
    chatAnswer(response, ['slow', ' and', ' done'], { pause: (i) => (i === 1 ? wait : undefined) });
    return true;
  };
  await send(page, 'second');
  await last(page).locator('.prose', { hasText: 'slow' }).waitFor();
  await conversations(page).filter({ hasText: 'first' }).click();
  await last(page).locator('.prose', { hasText: 'answer 1' }).waitFor();
  assert.equal(await page.locator('#conversations .dot').count(), 1);
  go();
  await finished(page);
  await conversations(page).filter({ hasText: 'second' }).click();
  await last(page).locator('.prose', { hasText: 'slow and done' }).waitFor();
});

pageTest('asks for as much as fits, and says where the context ended an answer', { mode: 'chat' }, async (page) => {
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/models') return false;
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ data: [{ id: 'Qwen3-4B-Q4_K_M', context_length: 32768, system_fingerprint: 'f', chat: true }] }));
    return true;
  };
  await page.reload();
  await page.locator('#model strong', { hasText: 'Qwen3 4B' }).waitFor();
  assert.match(await page.locator('#model').innerText(), /Q4_K_M[^]*32,768 tokens of context/);
  assert.equal(await page.getByText('tale', { exact: false }).count(), 0);
  answerWith(['cut'], { finish: 'length', usage: { prompt_tokens: 32760, completion_tokens: 8 } });
  await talk(page, 'Go on');
  assert.equal(gateway.sent('/v1/chat/completions')[0].body.max_tokens, undefined);
  assert.match(await page.locator('.notice').innerText(), /^The answer stops here because the model’s context of 32,768 tokens is full\./);
  assert.equal(await page.locator('#room').innerText(), '32,768 of 32,768 tokens of context');
  await button(page, 'Begin a new chat').click();
  await page.locator('.welcome').waitFor();
  await set(page, 'max_tokens', '8');
  answerWith(['cut'], { finish: 'length', usage: { prompt_tokens: 9, completion_tokens: 8 } });
  await talk(page, 'Short');
  assert.equal(gateway.sent('/v1/chat/completions')[1].body.max_tokens, 8);
  assert.match(await last(page).locator('.facts').innerText(), /cut off at the limit/);
  assert.equal(await page.locator('.notice').count(), 0);
});

pageTest('keeps what is said in two tabs of one conversation', { mode: 'chat' }, async (page) => {
  count();
  await talk(page, 'one');
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.locator('.exchange').waitFor();
  await talk(page, 'two, here');
  await talk(other, 'two, there'); // which has not been looked at since
  await page.locator('#conversations li').hover();
  await page.bringToFront();
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await last(page).locator('.branches', { hasText: '1 / 2' }).waitFor();
  await talk(page, 'three, here');
  await page.reload();
  await page.locator('.exchange').nth(2).waitFor();
  assert.deepEqual(await page.locator('.exchange .prompt').allInnerTexts(), ['one', 'two, here', 'three, here']);
  await button(page, 'The next branch').click();
  assert.deepEqual(await page.locator('.exchange .prompt').allInnerTexts(), ['one', 'two, there']);
  await other.close();
});

pageTest('says that a conversation is not kept where there is no room', { mode: 'chat' }, async (page) => {
  count();
  await page.evaluate(() => {
    IDBObjectStore.prototype.put = function () {
      this.transaction.abort(); // as where the quota is exceeded
    };
  });
  await talk(page, 'one');
  await page.locator('#toast', { hasText: 'The browser does not keep this conversation' }).waitFor();
  assert.deepEqual(await conversations(page).allInnerTexts(), ['one']);
});

pageTest('keeps a conversation deleted whose answer was coming, and brings it back', { mode: 'chat' }, async (page) => {
  answerWith(Array.from({ length: 500 }, (_, i) => `word ${i} `), { pause: () => new Promise((resolve) => setTimeout(resolve, 20)) });
  await send(page, 'one');
  await page.locator('.exchange.running', { hasText: 'word 3' }).waitFor();
  await page.locator('#conversations li').hover();
  await button(page, 'Delete one').click();
  await page.locator('#toast', { hasText: 'Deleted' }).waitFor();
  await page.locator('body:not(.busy)').waitFor();
  await page.waitForTimeout(300);
  await page.reload();
  await page.locator('#no-conversations').waitFor();
  assert.equal(await conversations(page).count(), 0);
  await send(page, 'two');
  await page.locator('.exchange.running', { hasText: 'word 3' }).waitFor();
  await page.locator('#conversations li').hover();
  await button(page, 'Delete two').click();
  await page.locator('#toast').getByRole('button', { name: 'Undo' }).click();
  await page.locator('.exchange', { hasText: 'word 3' }).waitFor();
  await page.reload();
  await page.locator('.exchange', { hasText: 'word 3' }).waitFor();
});
