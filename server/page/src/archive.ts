// Where conversations outlive a reload: the browser's IndexedDB, one record for the list and one for
// the exchanges of each. Without it (a private window, say) the page works and forgets.
import { Conversation } from './conversation';
import type { Head } from './conversation';
import { pack, unpack } from './pack';
import type { Packed } from './pack';

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open(): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.open('lockstep', 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore('heads', { keyPath: 'id' });
        request.result.createObjectStore('exchanges');
      };
      request.onsuccess = () => {
        // Another tab with a later page must not wait for this one.
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

const database = open();

async function within<T>(mode: IDBTransactionMode, fallback: T, work: (heads: IDBObjectStore, exchanges: IDBObjectStore) => Promise<T>): Promise<T> {
  try {
    const transaction = (await database)?.transaction(['heads', 'exchanges'], mode);
    if (!transaction) return fallback;
    const ended = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const [result] = await Promise.all([work(transaction.objectStore('heads'), transaction.objectStore('exchanges')), ended]);
    return result;
  } catch {
    return fallback; // no room, or no permission any more
  }
}

/** Of all conversations, the latest first. */
export async function heads(): Promise<Head[]> {
  const all = await within<Head[]>('readonly', [], (store) => settled(store.getAll()));
  return all.sort((a, b) => b.updated - a.updated);
}

export async function read(head: Head): Promise<Conversation> {
  const packed = await within<Packed[] | undefined>('readonly', [], (_, store) => settled(store.get(head.id)));
  return unpack(head, packed ?? []);
}

async function joinWith(conversation: Conversation, heads: IDBObjectStore, exchanges: IDBObjectStore): Promise<boolean> {
  const { id } = conversation.head;
  const [head, packed] = await Promise.all([settled<Head | undefined>(heads.get(id)), settled<Packed[] | undefined>(exchanges.get(id))]);
  return head !== undefined && packed !== undefined && conversation.join(unpack(head, packed));
}

/** Takes over what another tab has added; whether it did. */
export const join = (conversation: Conversation): Promise<boolean> =>
  within('readonly', false, (heads, exchanges) => joinWith(conversation, heads, exchanges));

const removed = new Set<string>(); // what an answer that still comes must not bring back

/** With what another tab has written meanwhile, unless this one closes. False where it could not be kept. */
export function write(conversation: Conversation, closes = false): Promise<boolean> {
  const { id } = conversation.head;
  if (removed.has(id)) return Promise.resolve(true);
  return within('readwrite', false, async (heads, exchanges) => {
    if (!closes) await joinWith(conversation, heads, exchanges); // for which a tab that closes has no time
    heads.put({ ...conversation.head });
    exchanges.put(pack(conversation), id);
    return true;
  });
}

export function writeHead(head: Head): Promise<boolean> {
  return within('readwrite', false, async (heads) => {
    await settled(heads.put({ ...head }));
    return true;
  });
}

export function bringBack(conversation: Conversation): Promise<boolean> {
  removed.delete(conversation.head.id);
  return write(conversation);
}

export function remove(id: string): Promise<boolean> {
  removed.add(id);
  return within('readwrite', false, async (heads, exchanges) => {
    heads.delete(id);
    await settled(exchanges.delete(id));
    return true;
  });
}
