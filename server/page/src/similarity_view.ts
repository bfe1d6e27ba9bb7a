// Which of some texts are nearest to a query, by the model that makes vectors: what an index of them
// would find, before anybody builds one.
import { ApiError, rank } from './api';
import { byId, h } from './dom';

const kMostTexts = 200; // that are still a list to read

const linesOf = (text: string) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

export class SimilarityView {
  private asking: AbortController | null = null;

  /** `key` gives the API key, `enterKey` asks a person for it; `model` is the one to ask. */
  constructor(
    private readonly key: () => string,
    private readonly enterKey: () => void,
    private readonly model: () => string | undefined,
  ) {
    byId('similarity-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.rank();
    });
  }

  show(shown: boolean): void {
    byId('similarity').hidden = !shown;
    if (!shown) this.asking?.abort();
  }

  private note(...parts: (Node | string)[]): void {
    byId('ranking-note').replaceChildren(...parts);
  }

  private async rank(): Promise<void> {
    const query = byId<HTMLInputElement>('similarity-query').value.trim();
    const texts = linesOf(byId<HTMLTextAreaElement>('similarity-texts').value);
    byId('ranking').replaceChildren();
    if (query === '' || texts.length === 0) return this.note('Give a query, and at least one text.');
    if (texts.length > kMostTexts) return this.note(`These are ${texts.length} texts; up to ${kMostTexts} are shown.`);
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.note('\u2026');
    try {
      const ranked = await rank(query, texts, this.model(), this.key(), signal);
      this.note(`${texts.length} ${texts.length === 1 ? 'text' : 'texts'}, the nearest first.`);
      byId('ranking').replaceChildren(...ranked.map(({ index, score }) =>
        h('li', {},
          h('p', {}, h('span', {}, texts[index] ?? ''), h('output', {}, score.toFixed(3))),
          h('meter', { min: 0, max: 1, value: score, 'aria-label': `Score of text ${index + 1}` }))));
    } catch (error) {
      if (signal.aborted) return;
      this.note(error instanceof Error ? error.message : String(error));
      if (error instanceof ApiError && error.failure.status === 401) this.enterKey();
    }
  }
}
