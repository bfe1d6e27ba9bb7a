// How the page looks on a desktop and a phone, light and dark: screenshots of its states, none wider
// than the screen, none with a violation that axe calls serious.
import assert from 'node:assert/strict';
import { button, finished, gateway, kDesktop, kPhone, last, pageTest, send, seriousViolations, set } from './harness.mjs';
import { chatAnswer } from './gateway.mjs';
import { answerWith, kRich } from './markdown.mjs';

for (const [device, look] of [['desktop', kDesktop], ['phone', kPhone]]) {
  for (const colorScheme of ['light', 'dark']) {
    pageTest(`${device}, ${colorScheme}: looks right and is accessible`, { ...look, colorScheme, refusals: true }, async (page) => {
      const states = [];
      const state = async (name) => {
        // What fades out has too little contrast on its way.
        await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished)));
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${device}-${colorScheme}-${name}.png` });
        const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
        states.push(...(fits ? [] : [`${name}: wider than the screen`]));
        states.push(...(await seriousViolations(page)).map((violation) => `${name}: ${violation}`));
      };
      const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(colorScheme === 'dark', dark === 'rgb(22, 24, 26)');
      await state('1-welcome');
      await set(page, 'seed', '7');
      await state('2-settings');
      if (device === 'phone') await button(page, 'Close').click();
      await send(page, 'Once upon a time there was a king who');
      await finished(page);
      await state('3-answer');
      const token = last(page).locator('.t').nth(30);
      await token.scrollIntoViewIfNeeded();
      await (device === 'phone' ? token.tap() : token.hover());
      await state('4-token');
      await button(page, 'Run again, same bytes?').click();
      await last(page).locator('.check').waitFor();
      await state('5-check');
      gateway.answer = ({ path }, response) => path === '/v1/chat/completions' && Boolean(chatAnswer(response, ['Good', ' day', ', my', ' friend', '.']));
      await page.getByRole('radio', { name: 'Chat' }).check({ force: true });
      await send(page, 'Good day!');
      await finished(page);
      gateway.answer = () => false;
      await set(page, 'temperature', '1000');
      if (device === 'phone') await button(page, 'Close').click();
      await page.getByRole('radio', { name: 'Completion' }).check({ force: true });
      await send(page, 'This is refused');
      await page.locator('.failure').waitFor();
      await state('6-refused');
      await page.getByRole('radio', { name: 'Chat' }).check({ force: true });
      await state('7-chat');
      gateway.answer = ({ path }, response) => {
        if (path !== '/v1/chat/completions') return false;
        response.writeHead(400, { 'Content-Type': 'application/json' });
        response.end('{"error":{"message":"prompt is too long: 600 tokens; this model\'s maximum context length is 512 tokens","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}');
        return true;
      };
      await send(page, 'And then?');
      await page.locator('.failure').waitFor();
      await state('8-full');
      gateway.answer = ({ path }, response) => path === '/v1/chat/completions' && Boolean(chatAnswer(response, ['Then', ' he', ' left', '.']));
      await button(page, 'Leave out the oldest turns').click();
      await finished(page);
      await state('9-left-out');
      answerWith(kRich, { thought: ['It wants', ' to see everything.'], calls: [{ id: 'c', name: 'get_weather', pieces: ['{"city": "Paris"}'] }] });
      await page.locator('#new-here').click();
      await send(page, 'Show me everything that you can.');
      await finished(page);
      await last(page).locator('details.thought summary').click();
      await state('10-rich');
      await page.locator('#main').evaluate((main) => (main.scrollTop = 0));
      await state('11-rich-top');
      if (device === 'phone') {
        await page.locator('#toggle-sidebar').click();
        await state('12-conversations');
        await page.locator('#sidebar .close').click();
      }
      gateway.answer = () => false;
      await page.getByRole('radio', { name: 'Server' }).check({ force: true });
      await page.locator('.card').first().waitFor();
      await page.waitForTimeout(2500); // a second look
      await state('13-server');
      assert.deepEqual(states, []);
    });
  }
}
