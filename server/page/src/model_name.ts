// A model under a name that a person knows, and what to ask it.
import type { Mode, ModelInfo } from './api';

const kEmbedded = 'lockstep-tales';

/** How weights are stored, as the names of files tell it at their end. */
const kQuantized = /[-_.]((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|[BF]{1,2}(?:16|32)))$/i;

export interface ModelName {
  name: string;
  detail: string; // the quantization, or what kind of model it is
}

/** "SmolLM2-135M-Instruct.Q4_1" is "SmolLM2 135M Instruct", "Q4_1". */
export function nameOf({ id }: ModelInfo): ModelName {
  if (id === kEmbedded) return { name: 'Tales', detail: 'the small embedded model' };
  const own = id.split('/').at(-1)!.replace(/\.gguf$/i, '').replace(/-\d{5}-of-\d{5}$/, '');
  const quantized = kQuantized.exec(own);
  const base = quantized ? own.slice(0, quantized.index) : own;
  const name = base.replace(/[-_.]GGUF$/i, '').replace(/[-_]+/g, ' ').trim();
  return { name: name || id, detail: quantized?.[1]?.toUpperCase() ?? '' };
}


const kTales: Record<Mode, string[]> = {
  chat: ['Tell me a tale of a king and his three sons.', 'Who lives in the dark wood?', 'Once upon a time there was a fox who could speak.'],
  completion: ['Once upon a time there was a king who', 'The old woman opened the door and', 'Deep in the forest, where no one went,'],
};
const kGeneral: Record<Mode, string[]> = {
  chat: [
    'Explain in three sentences why the sky is blue.',
    'Write a Python function that reverses the words of a sentence.',
    'Compare tea and coffee in a table.',
    'Draft a short, friendly note that thanks a colleague for help.',
  ],
  completion: ['The three most important inventions of the last century are', 'def is_prime(n: int) -> bool:\n    """', 'Dear Sir or Madam,\n\nI am writing to'],
};

/** What this model has something to say to: the embedded one has read tales and nothing else. */
export const examplesFor = (mode: Mode, model?: ModelInfo): string[] =>
  (model?.id === kEmbedded ? kTales : kGeneral)[mode];
export const tellsTales = (model?: ModelInfo): boolean => model?.id === kEmbedded;
