// Several models behind one page: one is chosen, answers, and stays chosen.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lockstep } from '../support/lockstep.mjs';
import { browser, finished, kDesktop, kPhone, last, pageTest, send, seriousViolations } from './harness.mjs';

const kTales = new URL('../../core/model/embedded/tales.gguf', import.meta.url);
const choice = (page) => page.getByRole('combobox', { name: 'Model' });

for (const [where, look] of [['a desktop', kDesktop], ['a phone', kPhone]]) {
  test(`a model is chosen on ${where}, and answers from then on`, { timeout: 180_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'lockstep-models-'));
    t.after(() => rmSync(folder, { recursive: true }));
    for (const name of ['first-tales-Q8_0.gguf', 'second-tales.gguf']) copyFileSync(kTales, join(folder, name));
    const server = await Lockstep.start('--models-dir', folder);
    t.after(() => server.stop());
    const context = await browser.newContext(look);
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const asked = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') asked.push(JSON.parse(request.postData()).model);
    });
    const states = async () => {
      const { data } = await (await fetch(`${server.url}/v1/models`)).json();
      return data.map(({ id, status }) => [id, status.value]);
    };
    await page.goto(server.url);
    await choice(page).waitFor();
    assert.deepEqual(await choice(page).locator('option').allInnerTexts(), ['first tales Q8_0', 'second tales']);
    assert.deepEqual(await states(), [['first-tales-Q8_0', 'unloaded'], ['second-tales', 'unloaded']]);
    if (look === kDesktop) await page.getByText('loads with your first message').waitFor();

    await choice(page).selectOption('second tales');
    await send(page, 'Once upon a time');
    await finished(page);
    assert.ok((await last(page).innerText()).length > 100);
    assert.deepEqual(asked, ['second-tales']);
    assert.deepEqual(await states(), [['first-tales-Q8_0', 'unloaded'], ['second-tales', 'loaded']]);
    await page.getByText('loads with your first message').waitFor({ state: 'detached' });

    await page.reload();
    await choice(page).waitFor();
    assert.equal(await choice(page).inputValue(), 'second-tales');
    const chosen = () => page.evaluate(() => document.activeElement.value);
    await choice(page).focus();
    for (const [key, id] of [['ArrowUp', 'first-tales-Q8_0'], ['ArrowDown', 'second-tales']]) {
      const listed = page.waitForResponse('**/v1/models');
      await page.keyboard.press(key);
      await (await listed).finished();
      await page.waitForTimeout(100);
      assert.equal(await chosen(), id, 'the choice keeps the keys');
    }
    await page.getByRole('radio', { name: 'Server' }).check({ force: true });
    await page.locator('.card').first().waitFor();
    const { system_fingerprint } = (await (await fetch(`${server.url}/v1/models/second-tales`)).json());
    assert.ok((await page.locator('#server-summary').innerText()).includes(system_fingerprint));
    assert.deepEqual(await seriousViolations(page), []);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= look.viewport.width, `${width}`);
    if (process.env.SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.SCREENSHOTS, `models-${look.viewport.width}.png`) });
    }
  });
}

pageTest('there is nothing to choose where the server has one model', {}, async (page) => {
  assert.equal(await choice(page).count(), 0);
});
