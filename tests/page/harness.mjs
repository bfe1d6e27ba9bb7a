// What the tests share: a server, a gateway in front of it, a browser, and what a person does in it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Lockstep } from '../support/lockstep.mjs';
import { Gateway } from './gateway.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const kDesktop = { viewport: { width: 1280, height: 800 } };
export const kPhone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

export let lockstep, gateway, browser;
before(async () => {
  lockstep = await Lockstep.start();
  gateway = await Gateway.start(lockstep.url);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
});
after(async () => {
  await browser?.close();
  gateway?.stop();
  await lockstep?.stop();
});
beforeEach(() => gateway.reset());

/** A test with a page of its own, which must log no error and ask nobody else for anything. */
export function pageTest(name, options, body) {
  test(name, { timeout: 180_000 }, async (t) => {
    const { mode = 'completion', url = gateway.url, refusals = false, ...look } = options;
    const context = await browser.newContext({ ...kDesktop, ...look, bypassCSP: false });
    const page = await context.newPage();
    const wrong = [];
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (line) => {
      const expected = refusals && line.text().startsWith('Failed to load resource');
      if (['error', 'warning'].includes(line.type()) && !expected) wrong.push(line.text());
    });
    page.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin) {
        wrong.push(`a request to ${request.url()}`);
      }
    });
    page.setDefaultTimeout(15_000);
    try {
      await page.goto(url);
      await page.locator('#model strong').waitFor(); // from then on the page changes no mode itself
      await page.getByRole('radio', { name: mode === 'chat' ? 'Chat' : 'Completion' }).check({ force: true });
      await body(page, t);
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
    }
  });
}

/** The page of a server of the test's own, which asks for a key. */
export async function lockedPage(t, key) {
  const locked = await Lockstep.start('--api-key', key);
  t.after(() => locked.stop());
  const context = await browser.newContext(kDesktop);
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(locked.url);
  return page;
}

export const prompt = (page) => page.locator('#prompt');
export const last = (page) => page.locator('.exchange').last();
export const button = (page, name) => page.getByRole('button', { name, exact: true });
/** What a completion shows, token by token. */
export const answerText = (page) =>
  last(page).locator('.text').evaluate((text) => [...text.querySelectorAll('.t')].map((t) => t.textContent).join(''));

/** What a chat's answer shows. */
export const proseText = (page) => last(page).locator('.prose').last().innerText();
export const conversations = (page) => page.locator('#conversations .name');

export async function openSettings(page) {
  if (await page.locator('#panel').isHidden()) await page.locator('#toggle-panel').click();
}
export async function send(page, text) {
  await prompt(page).fill(text);
  await prompt(page).press('Enter');
}
export async function finished(page) {
  await page.locator('.exchange:not(.running)').last().waitFor();
  await page.locator('body:not(.busy)').waitFor();
}
export async function set(page, name, value) {
  await openSettings(page);
  await page.locator(`#${name}`).fill(value);
}
export async function seriousViolations(page) {
  await page.evaluate(axe).catch(async () => page.addScriptTag({ content: axe }));
  const { violations } = await page.evaluate(() => axe.run());
  return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
}
