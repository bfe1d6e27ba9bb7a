// What a model's Markdown becomes: elements, never HTML of its own, and at a cost that grows with the
// answer.
import assert from 'node:assert/strict';
import { button, finished, gateway, last, openSettings, pageTest, send, set } from './harness.mjs';
import { chatAnswer } from './gateway.mjs';

export const kRich = [
  'Here is **bold**, *slanted* and `code`.\n\n## A heading\n\n',
  '| drink | caffeine |\n|:--|--:|\n| tea | 40 mg |\n| coffee | **95** mg |\n\n',
  '```python\ndef f(x):\n    return x < 2 & x\n```\n\n',
  'Euler: $e^{i\\pi} + 1 = 0$, it costs $5 and $7, and\n\n$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$\n\n',
  '1. one\n2. two\n   - [x] done\n   - [ ] open\n\n> said\n\n[a link](https://example.org/a?b=1&c=2)\n',
];
/** Answers every chat with these pieces. */
export function answerWith(pieces, options) {
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/chat/completions') return false;
    chatAnswer(response, typeof pieces === 'function' ? pieces() : pieces, options);
    return true;
  };
}

pageTest('shows headings, tables, code, math and lists as such', { mode: 'chat' }, async (page) => {
  answerWith(kRich);
  await send(page, 'Show me');
  await finished(page);
  const prose = last(page).locator('.prose').last();
  assert.deepEqual(await prose.locator('> *').evaluateAll((all) => all.map((e) => e.className || e.localName)),
    ['p', 'h4', 'table', 'code', 'p', 'math', 'ol', 'blockquote', 'p']);
  assert.equal(await prose.locator('strong').first().innerText(), 'bold');
  assert.deepEqual(await prose.locator('tbody td').allInnerTexts(), ['tea', '40 mg', 'coffee', '95 mg']);
  assert.equal(await prose.locator('td').nth(1).evaluate((e) => getComputedStyle(e).textAlign), 'right');
  assert.equal(await prose.locator('pre code').textContent(), 'def f(x):\n    return x < 2 & x');
  assert.equal(await prose.locator('.code-head span').innerText(), 'python');
  assert.equal(await prose.locator('math').count(), 2); // and the prices are none
  assert.match(await prose.innerText(), /it costs \$5 and \$7, and/);
  assert.equal(await prose.locator('div.math mfrac').count(), 1);
  assert.deepEqual(await prose.locator('input').evaluateAll((all) => all.map((e) => e.checked)), [true, false]);
  const link = prose.getByRole('link');
  assert.deepEqual([await link.getAttribute('href'), await link.getAttribute('rel')], ['https://example.org/a?b=1&c=2', 'noopener noreferrer nofollow']);
});

pageTest('copies the code of a block', { mode: 'chat' }, async (page) => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  answerWith(kRich);
  await send(page, 'Show me');
  await finished(page);
  await last(page).locator('.code-head button').click();
  await last(page).locator('.code-head button', { hasText: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'def f(x):\n    return x < 2 & x');
  await button(page, 'Copy').first().click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), kRich.join(''));
});

pageTest('never takes HTML, scripts, pictures or strange addresses from a model', { mode: 'chat' }, async (page) => {
  answerWith([
    '<img src=x onerror="document.title=1"> <script>document.title=2</script>\n\n<div onclick="x()">div</div>\n\n',
    '[a](javascript:document.title=3) [b](data:text/html,x) [c](/v1/models) [d](JaVaScRiPt&#58;alert(1)) ![pic](https://example.org/p.png)\n\n',
    '$\\href{javascript:document.title=4}{x}$ $\\includegraphics{https://example.org/q.png}$ $\\htmlStyle{color:red}{y}$ &lt;b&gt;\n\n',
    '| <svg onload=x()> | a |\n|-|-|\n| <b>1</b> | line<br>break |\n',
  ]);
  await send(page, '<b>me</b>');
  await finished(page);
  const prose = last(page).locator('.prose').last();
  assert.equal(await prose.locator('img, script, svg, div[onclick], b, [style], mglyph').count(), 0);
  assert.deepEqual(await prose.locator('a').evaluateAll((all) => all.map((e) => e.href)), ['https://example.org/p.png']);
  const text = await prose.innerText();
  for (const shown of ['<img src=x onerror', '<script>document.title=2</script>', '[a](javascript:document.title=3)', '<div onclick="x()">div</div>', '<b>1</b>']) {
    assert.ok(text.includes(shown), `${shown} is not in ${text}`);
  }
  assert.ok(text.includes('<b>'), 'entities are decoded');
  assert.equal(await prose.locator('td br').count(), 1);
  assert.equal(await page.title(), 'lockstep');
  assert.equal(await last(page).locator('.prompt').innerText(), '<b>me</b>');
});

pageTest('draws each block once while an answer comes', { mode: 'chat' }, async (page) => {
  const pieces = ['**First** paragraph.\n\n', '```js\n', ...Array.from({ length: 30 }, (_, i) => `line(${i});\n`), '```\n\n', 'The **la', 'st** one.'];
  let go;
  const half = new Promise((resolve) => (go = resolve));
  gateway.answer = ({ path }, response) => {
    if (path !== '/v1/chat/completions') return false;
    chatAnswer(response, pieces, { pause: (i) => (i === 16 || i === 34 ? half : new Promise((resolve) => setTimeout(resolve, 15))) });
    return true;
  };
  await send(page, 'Go');
  await last(page).locator('pre code', { hasText: 'line(5)' }).waitFor();
  await page.evaluate(() => {
    const prose = document.querySelector('.exchange .prose:not(.thought *)');
    window.nodes = [prose.querySelector('p'), prose.querySelector('pre')];
  });
  go();
  await finished(page);
  const same = await page.evaluate(() => {
    const prose = document.querySelector('.exchange .prose:not(.thought *)');
    return [prose.querySelector('p') === window.nodes[0], prose.querySelector('pre') === window.nodes[1], prose.querySelectorAll('pre').length];
  });
  assert.deepEqual(same, [true, true, 1]);
  const prose = last(page).locator('.prose').last();
  assert.equal((await prose.locator('pre code').textContent()).split('\n').length, 30);
  assert.equal(await prose.locator('p').last().innerHTML(), 'The <strong>last</strong> one.');
});

pageTest('takes a long answer in time that grows with it', { mode: 'chat' }, async (page) => {
  const part = 'A paragraph with **bold** and `code` of some length, as models write them.\n\n- one\n- two\n\n';
  const time = async (parts) => {
    answerWith(Array.from({ length: parts * 18 }, (_, i) => part.slice((i % 18) * 5, i % 18 === 17 ? undefined : (i % 18) * 5 + 5)));
    const began = Date.now();
    await send(page, `${parts} parts`);
    await finished(page);
    assert.equal(await last(page).locator('.prose').last().locator('> p').count(), parts);
    return Date.now() - began;
  };
  await time(20);
  const [short, long] = [await time(100), await time(400)];
  assert.ok(long < 12 * short + 2000, `${short} ms, then ${long} ms`);
});

pageTest('shows what a model repeats without end, and stays quick', { mode: 'chat' }, async (page) => {
  const kinds = {
    'deep > ': '> '.repeat(1500) + 'end', 'deep >': '>'.repeat(3000) + 'end', 'deep list': '- '.repeat(1500) + 'end',
    links: '[a]('.repeat(2000) + 'end', 'links <': '[a](<'.repeat(2000) + 'end', pictures: '![a]('.repeat(2000) + 'end',
    emphasis: '*a **b '.repeat(2000) + 'end', underscores: '_a '.repeat(5000) + 'end', stars: '*'.repeat(10000) + 'end',
  };
  for (const [kind, text] of Object.entries(kinds)) {
    answerWith(text.match(/[^]{1,400}/g));
    const began = Date.now();
    await send(page, kind);
    await finished(page);
    assert.match(await last(page).locator('.prose').last().innerText(), /end$/, kind);
    assert.ok(Date.now() - began < 5000, `${kind}: ${Date.now() - began} ms`);
  }
  await page.reload();
  await page.locator('.exchange').nth(Object.keys(kinds).length - 1).waitFor();
  answerWith(['*a* '.repeat(100) + '[x](https://example.org)']); // as much as a person may write
  await send(page, 'usual');
  await finished(page);
  const prose = last(page).locator('.prose').last();
  assert.deepEqual([await prose.locator('em').count(), await prose.locator('a').count()], [100, 1]);
});

pageTest('folds what a model thinks, and tells it in the next turn', { mode: 'chat' }, async (page) => {
  answerWith(['The answer', ' is 4.'], { thought: ['Two and two', ' are **four**.'] });
  await openSettings(page);
  await page.locator('#thinking').selectOption('on');
  await send(page, 'Two and two?');
  await finished(page);
  const thought = last(page).locator('details.thought');
  assert.match(await thought.locator('summary').innerText(), /^Thought for \d+ s$/);
  assert.ok(await thought.locator('.prose').isHidden());
  await thought.locator('summary').click();
  assert.equal(await thought.locator('.prose').innerText(), 'Two and two are four.');
  assert.equal(await last(page).locator('.prose').last().innerText(), 'The answer is 4.');
  await send(page, 'Sure?');
  await finished(page);
  const { body } = gateway.sent('/v1/chat/completions')[1];
  assert.deepEqual(body.messages[1], { role: 'assistant', content: 'The answer is 4.', reasoning_content: 'Two and two are **four**.' });
  assert.deepEqual(body.chat_template_kwargs, { enable_thinking: true });
});

pageTest('shows the calls of tools, and gives back what a person says they return', { mode: 'chat' }, async (page) => {
  const calls = [{ id: 'call_1', name: 'get_weather', pieces: ['{"city": ', '"Paris"}'] }, { id: 'call_2', name: 'now', pieces: ['{}'] }];
  answerWith([], { calls });
  await set(page, 'tools', 'nothing');
  await send(page, 'The weather?');
  assert.match(await page.locator('#toast').innerText(), /^Tools must be a list in JSON/);
  assert.equal(gateway.sent('/v1/chat/completions').length, 0);
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
  await set(page, 'tools', JSON.stringify(tools));
  await page.locator('#prompt').press('Enter');
  await finished(page);
  assert.deepEqual(gateway.sent('/v1/chat/completions')[0].body.tools, tools);
  assert.deepEqual(await last(page).locator('.call-name').allInnerTexts(), ['Calls get_weather', 'Calls now']);
  assert.equal(await last(page).locator('.call code').nth(1).innerText(), '{\n  "city": "Paris"\n}');
  answerWith(['It rains.']);
  await page.getByLabel('What get_weather returns').fill('rain');
  await page.getByLabel('What now returns').fill('noon');
  await button(page, 'Give the results').click();
  await finished(page);
  assert.deepEqual(gateway.sent('/v1/chat/completions')[1].body.messages.slice(1), [
    { role: 'assistant', content: '', tool_calls: [
      { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city": "Paris"}' } },
      { id: 'call_2', type: 'function', function: { name: 'now', arguments: '{}' } }] },
    { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
    { role: 'tool', tool_call_id: 'call_2', content: 'noon' },
  ]);
  assert.equal(await last(page).locator('.prose').last().innerText(), 'It rains.');
  assert.equal(await page.locator('.calls').count(), 0);
});
