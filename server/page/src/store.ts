// What outlives a reload beside conversations: settings in localStorage, the API key in
// sessionStorage only. Without storage (a private window, say) the page works and forgets.

function read<T>(storage: 'localStorage' | 'sessionStorage', name: string, fallback: T): T {
  try {
    const text = window[storage].getItem(`lockstep.${name}`);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

function write(storage: 'localStorage' | 'sessionStorage', name: string, value: unknown): void {
  try {
    if (value === undefined || value === '') window[storage].removeItem(`lockstep.${name}`);
    else window[storage].setItem(`lockstep.${name}`, JSON.stringify(value));
  } catch {
    // no room, or no permission
  }
}

export const load = <T>(name: string, fallback: T): T => read('localStorage', name, fallback);
export const save = (name: string, value: unknown) => write('localStorage', name, value);
export const loadKey = (): string => read('sessionStorage', 'key', '');
export const saveKey = (key: string) => write('sessionStorage', 'key', key);
