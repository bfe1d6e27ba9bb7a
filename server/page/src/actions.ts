// What can be done with an exchange, as its view asks for it.
import type { ToolResult } from './exchange';
import type { ExchangeView } from './view';

export interface Actions {
  copyRequest(view: ExchangeView): void;
  runAgain(view: ExchangeView): void;
  regenerate(view: ExchangeView): void;
  goOn(view: ExchangeView): void;
  edit(view: ExchangeView): void;
  step(view: ExchangeView, by: number): void; // to another branch
  giveResults(view: ExchangeView, results: ToolResult[]): void;
  keepSeed(seed: number): void;
  focusKey(): void;
  leaveOut(view: ExchangeView): void;
  startAnew(view: ExchangeView): void;
  newChat(): void;
  useCompletion(view: ExchangeView): void;
}

/** Where an exchange stands. */
export interface Place {
  number: number; // in the conversation, from 1
  branch: number; // among those in its place, from 1
  branches: number;
  last: boolean;
  told: number; // of the exchanges before, those that the model is told of
  leftOut: boolean; // the model is not told of it any more
  context?: number; // of the model, in tokens
}
