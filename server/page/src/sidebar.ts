// The list of conversations: to open, name, export and delete them.
import { byId, h, iconButton } from './dom';
import type { Head } from './conversation';

export interface SidebarActions {
  open(id: string): void;
  rename(id: string, title: string): void;
  remove(id: string): void;
  exportOne(id: string): void;
}

const kPen = 'M3 13l.6-2.7 7.6-7.6 2.1 2.1-7.6 7.6zM9.8 4.1l2.1 2.1';
const kOut = 'M8 2.5v7M5 7l3 3 3-3M3 12.5v1h10v-1';
const kBin = 'M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9';

export class Sidebar {
  private renaming = '';

  constructor(private readonly actions: SidebarActions) {}

  show(heads: Head[], open: string, running: string): void {
    if (this.renaming !== '' && document.activeElement?.matches('#conversations input')) return;
    const list = byId('conversations');
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.id : undefined;
    list.replaceChildren(...heads.map((head) => this.item(head, head.id === open, head.id === running)));
    byId('no-conversations').hidden = heads.length > 0;
    if (focused) list.querySelector<HTMLElement>(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  private item(head: Head, open: boolean, running: boolean): HTMLElement {
    const title = head.title || 'Untitled';
    const name = h('button', {
      type: 'button', class: 'name', 'data-id': head.id, 'aria-current': open ? 'true' : undefined, title,
      click: () => this.actions.open(head.id),
    }, h('span', {}, title), head.mode === 'completion' && h('span', { class: 'kind' }, 'text'), running && h('span', { class: 'dot', title: 'being answered' }));
    const item = h('li', { class: open ? 'open' : '' }, name,
      h('span', { class: 'item-tools' },
        iconButton(`Rename ${title}`, kPen, () => this.rename(item, head)),
        iconButton(`Export ${title}`, kOut, () => this.actions.exportOne(head.id)),
        iconButton(`Delete ${title}`, kBin, () => this.actions.remove(head.id))));
    return item;
  }

  private rename(item: HTMLElement, head: Head): void {
    this.renaming = head.id;
    const input = h('input', { type: 'text', 'aria-label': 'Name of the conversation', maxlength: 200 });
    input.value = head.title;
    let left = false;
    const done = (kept: boolean) => {
      if (left) return;
      left = true;
      this.renaming = '';
      input.remove();
      this.actions.rename(head.id, (kept && input.value.trim()) || head.title);
    };
    input.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Enter' || event.key === 'Escape') done(event.key === 'Enter');
    });
    input.addEventListener('blur', () => done(true));
    item.replaceChildren(input);
    input.select();
  }
}
