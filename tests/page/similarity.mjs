// Texts in the order of their score, of a model that makes vectors: beside one that generates, or alone.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeEncoder } from '../clients/encoder.mjs';
import { Lockstep } from '../support/lockstep.mjs';
import { browser, button, kDesktop, kPhone, pageTest, seriousViolations } from './harness.mjs';

const kTexts = ['there was a king', 'the end', 'once upon a time'];

/** body(page, server) on a page of its own, of a server started so with a file of a small encoder. */
function withEncoder(name, look, flag, body) {
  test(name, { timeout: 180_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-encoder-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'encoder.gguf');
    writeEncoder(file);
    const server = await Lockstep.start(flag, file);
    t.after(() => server.stop());
    const context = await browser.newContext(look);
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(server.url);
    await page.locator('#model strong').waitFor();
    await body(page, server);
  });
}

const shown = (page) => page.locator('#ranking li span').allInnerTexts();
const note = (page) => page.locator('#ranking-note');

async function rank(page, query, texts) {
  await page.getByLabel('Query').fill(query);
  await page.getByLabel('Texts, one a line').fill(texts.join('\n'));
  await button(page, 'Rank').click();
}

withEncoder('ranks texts as /v1/rerank does, of the model beside', kDesktop, '--embedding-model', async (page, server) => {
  await page.getByRole('radio', { name: 'Similarity' }).check({ force: true });
  assert.ok(await page.locator('#composer').isHidden());
  await rank(page, 'there was a king', ['', ...kTexts, '  ']);
  await page.locator('#ranking li').nth(2).waitFor();
  const reply = await fetch(`${server.url}/v1/rerank`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'encoder', query: 'there was a king', documents: kTexts }),
  });
  const { results } = await reply.json();
  assert.deepEqual(await shown(page), results.map(({ index }) => kTexts[index]));
  assert.deepEqual(await page.locator('#ranking output').allInnerTexts(), results.map((r) => r.relevance_score.toFixed(3)));
  assert.equal(await page.locator('#ranking output').first().innerText(), '1.000');
  assert.match(await note(page).innerText(), /^3 texts, the nearest first/);
  assert.deepEqual(await seriousViolations(page), []);
});

withEncoder('is what is open where the model only encodes, and says what is wrong', kPhone, '--model', async (page) => {
  await page.locator('#similarity').waitFor();
  assert.ok(await page.getByRole('radio', { name: 'Similarity' }).isChecked());
  await button(page, 'Rank').click();
  assert.match(await note(page).innerText(), /at least one text/);
  await rank(page, 'a', ['king '.repeat(200)]);
  await page.getByText(/a text may have 64/).waitFor();
  assert.equal(await page.locator('#ranking li').count(), 0);
  await rank(page, '<b>a</b>', ['<img src=x onerror=alert(1)>']);
  await page.locator('#ranking li').waitFor();
  assert.deepEqual(await shown(page), ['<img src=x onerror=alert(1)>']);
  assert.equal(await page.locator('img').count(), 0);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= kPhone.viewport.width, `${width}`);
});

pageTest('is not offered where no model makes vectors', {}, async (page) => {
  assert.ok(await page.locator('#similarity-place').isHidden());
});
