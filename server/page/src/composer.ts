// Where a person writes: the text, the files that go with it, and the button that sends or stops.
import { byId, h, iconButton, toast } from './dom';
import type { Attachment, Said } from './exchange';

const kMostCharacters = 4_000_000; // of a file; no context takes more

export class Composer {
  private readonly form = byId<HTMLFormElement>('composer');
  private readonly prompt = byId<HTMLTextAreaElement>('prompt');
  private readonly button = byId<HTMLButtonElement>('send');
  private readonly picker = h('input', { type: 'file', multiple: true, hidden: true, 'aria-label': 'Files of text' });
  private files: Attachment[] = [];
  private running = false;

  /** `send` is given what a person wrote, `stop` asked while an answer comes, `editLast` by the up arrow. */
  constructor(private readonly on: { send(said: Said): boolean; stop(): void; editLast(): void; drop(): void }) {
    this.form.append(this.picker);
    this.picker.addEventListener('change', () => {
      void this.attach([...(this.picker.files ?? [])]);
      this.picker.value = '';
    });
    byId('attach').addEventListener('click', () => this.picker.click());
    byId('cancel-edit').addEventListener('click', () => this.on.drop());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.prompt.addEventListener('input', () => this.fit());
    this.prompt.addEventListener('keydown', (event) => this.key(event));
    this.prompt.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // What is copied from a table or a document comes as a text and as a picture of it.
      if (files.length === 0 || event.clipboardData!.types.includes('text/plain')) return;
      event.preventDefault();
      void this.attach(files);
    });
    // A text that is dragged goes where the browser puts it; a file would be opened.
    const bringsFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true;
    document.addEventListener('dragover', (event) => bringsFiles(event) && event.preventDefault());
    document.addEventListener('drop', (event) => {
      if (!bringsFiles(event)) return;
      event.preventDefault();
      void this.attach([...(event.dataTransfer?.files ?? [])]);
    });
  }

  get said(): Said {
    return { prompt: this.prompt.value, files: this.files };
  }
  get empty(): boolean {
    return this.prompt.value === '' && this.files.length === 0;
  }

  set({ prompt, files = [] }: Said): void {
    this.prompt.value = prompt;
    this.files = [...files];
    this.showFiles();
    this.fit();
  }
  focus(): void {
    this.prompt.focus();
  }

  show(running: boolean, chat: boolean): void {
    this.running = running;
    this.button.textContent = running ? 'Stop' : 'Send';
    this.button.classList.toggle('stop', running);
    document.body.classList.toggle('busy', running);
    byId('keys').textContent = running ? 'Esc stops, and keeps what came' : 'Enter sends, Shift+Enter makes a new line';
    byId('prompt-label').textContent = chat ? 'Message' : 'Text to continue';
    this.prompt.placeholder = chat ? 'Write a message' : 'Begin a text';
  }
  /** While a conversation is read, what is written would go to the one before it. */
  hold(held: boolean): void {
    this.prompt.readOnly = held;
  }
  /** Says that what is sent takes the place of something. */
  showEditing(editing: boolean): void {
    byId('editing').hidden = !editing;
  }

  private submit(): void {
    if (this.running) return this.on.stop();
    if (this.prompt.readOnly) return;
    const said = this.said;
    if (said.prompt.trim() === '' && this.files.length === 0) return this.focus();
    if (this.on.send(said)) this.set({ prompt: '' });
  }

  private key(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      if (!this.running) this.submit();
    } else if (event.key === 'ArrowUp' && this.empty) {
      event.preventDefault();
      this.on.editLast();
    }
  }

  private async attach(files: File[]): Promise<void> {
    for (const file of files) {
      const text = await readText(file);
      if (text instanceof Error) toast(`${file.name} ${text.message}.`);
      else this.files.push({ name: file.name, text });
    }
    this.showFiles();
    this.focus();
  }

  private showFiles(): void {
    byId('files').hidden = this.files.length === 0;
    byId('files').replaceChildren(...this.files.map((file) =>
      h('li', {}, h('span', {}, file.name), h('span', { class: 'hint' }, sizeOf(file.text)),
        iconButton(`Take ${file.name} away`, 'M4 4l8 8M12 4l-8 8', () => {
          this.files = this.files.filter((other) => other !== file);
          this.showFiles();
        }))));
  }

  private fit(): void {
    this.prompt.style.height = 'auto';
    this.prompt.style.height = `${this.prompt.scrollHeight}px`;
  }
}

const sizeOf = (text: string): string => (text.length < 1000 ? `${text.length} characters` : `${Math.round(text.length / 1000)}k characters`);

/** What is in a file of text; why not, where it is none. */
async function readText(file: File): Promise<string | Error> {
  if (file.size > kMostCharacters) return new Error('is larger than any context takes');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
    return text.includes('\0') ? new Error('is no file of text') : text;
  } catch {
    return new Error('is no file of text in UTF-8');
  }
}
