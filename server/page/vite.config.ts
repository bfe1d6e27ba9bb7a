// One file: the script and the style go into index.html, and policy.txt allows these two by their
// hashes. `npm run dev` serves the sources and sends the API's requests to a lockstep on port 8080.
import { createHash } from 'node:crypto';
import { defineConfig, type Plugin } from 'vite';

const hashOf = (text: string) =>
  `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'`;

function policy(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    'img-src data:', // the icon
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

function oneFile(): Plugin {
  return {
    name: 'one-file',
    enforce: 'post',
    apply: 'build',
    generateBundle(_, bundle) {
      let script = '';
      let style = '';
      for (const [name, part] of Object.entries(bundle)) {
        if (name === 'index.html') continue;
        if (part.type === 'chunk') script += part.code.trim();
        else style += String(part.source).trim();
        delete bundle[name];
      }
      const page = bundle['index.html'];
      if (page?.type !== 'asset' || /<\/(script|style)/i.test(script + style)) {
        throw new Error('the script and the style cannot be put into index.html');
      }
      const html = String(page.source)
        .replace(/\s*<(script|link)\b[^>]*(src|href)="\.\/assets\/[^>]*>(<\/script>)?/g, '')
        .replace(/\n\s+/g, '\n')
        .replace('</head>', () => `<style>${style}</style>\n</head>`)
        .replace('</body>', () => `<script type="module">${script}</script>\n</body>`);
      if (/(src|href)="(?!data:)/.test(html.slice(0, html.indexOf('<style>')))) {
        throw new Error('index.html still asks for another file');
      }
      page.source = html;
      this.emitFile({ type: 'asset', fileName: 'policy.txt', source: policy(script, style) + '\n' });
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [oneFile()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(
      ['/generate', '/v1', '/readyz'].map((path) => [path, 'http://127.0.0.1:8080']),
    ),
  },
});
