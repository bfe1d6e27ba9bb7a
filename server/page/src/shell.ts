// The frame around everything: theme, and the panels at the sides.
import { byId } from './dom';
import { load, save } from './store';

const kThemes = ['auto', 'light', 'dark'];
const wide = matchMedia('(min-width: 60rem)');

function setTheme(theme: string): void {
  const root = document.documentElement;
  if (theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme;
  const label = `Theme: ${theme === 'auto' ? 'as the system' : theme}`;
  byId('theme').setAttribute('aria-label', label);
  byId('theme').title = label;
}

/** A panel at a side. On a small screen it covers the rest, which the Tab key must not reach then. */
class Panel {
  private readonly element: HTMLElement;
  private readonly button: HTMLElement;

  constructor(private readonly id: string, first: boolean) {
    this.element = byId(id);
    this.button = byId(`toggle-${id}`);
    this.button.addEventListener('click', () => this.toggle());
    this.element.querySelector('.close')?.addEventListener('click', () => this.toggle());
    this.open(wide.matches && load(id, first));
    wide.addEventListener('change', () => this.open(wide.matches && load(id, first)));
  }

  get covers(): boolean {
    return !this.element.hidden && !wide.matches;
  }
  open(open: boolean): void {
    this.element.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    document.body.classList.toggle(`with-${this.id}`, open);
    document.querySelectorAll<HTMLElement>('header, main, #composer').forEach((element) => {
      element.inert = panels.some((panel) => panel.covers) || (open && !wide.matches);
    });
  }
  toggle(): void {
    const open = this.element.hidden;
    this.open(open);
    if (wide.matches) save(this.id, open);
    else if (open) this.element.querySelector<HTMLElement>('.close')!.focus();
    else this.button.focus();
  }
}

const panels: Panel[] = [];

/** Opens the settings. */
export const openSettings = (): void => panels[1]!.open(true);
/** Closes what covers the rest; false if nothing did. */
export function uncover(): boolean {
  const covering = panels.find((panel) => panel.covers);
  covering?.toggle();
  return covering !== undefined;
}

export function startShell(): void {
  panels.push(new Panel('sidebar', true));
  panels.push(new Panel('panel', false));
  setTheme(load('theme', 'auto'));
  byId('theme').addEventListener('click', () => {
    const next = kThemes[(kThemes.indexOf(load('theme', 'auto')) + 1) % kThemes.length]!;
    save('theme', next);
    setTheme(next);
  });
}
