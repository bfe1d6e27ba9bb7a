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
    return await work(transaction.objectStore('heads'), transaction.objectStore('exchanges'));
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

/** False where it could not be kept. */
export function write(conversation: Conversation): Promise<boolean> {
  const packed = pack(conversation);
  return within('readwrite', false, async (heads, exchanges) => {
    heads.put({ ...conversation.head });
    await settled(exchanges.put(packed, conversation.head.id));
    return true;
  });
}

export function writeHead(head: Head): Promise<boolean> {
  return within('readwrite', false, async (heads) => {
    await settled(heads.put({ ...head }));
    return true;
  });
}

export function remove(id: string): Promise<boolean> {
  return within('readwrite', false, async (heads, exchanges) => {
    heads.delete(id);
    await settled(exchanges.delete(id));
    return true;
  });
}
