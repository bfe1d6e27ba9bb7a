// Writes GGUF files, of which tests need small ones with weights or answers of their choice.

export const UINT32 = 4, INT32 = 5, FLOAT32 = 6, BOOL = 7, STRING = 8, ARRAY = 9;
const ALIGNMENT = 32;

export const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
export const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
export const f32 = (values) => Buffer.from(Float32Array.from(values).buffer);
export const string = (text) => {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
};
export const array = (type, items) =>
  Buffer.concat([u32(type), u64(items.length), ...items]);
export const pair = (key, type, value) => Buffer.concat([string(key), u32(type), value]);

const padded = (bytes) =>
  Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);

// The bytes of a file of such pairs, and of tensors of floats: [name, dimensions, values].
export function gguf(pairs, tensors) {
  const head = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(pairs.length), ...pairs];
  const data = [];
  let offset = 0;
  for (const [name, dims, values] of tensors) {
    head.push(string(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset));
    data.push(padded(f32(values)));
    offset += data.at(-1).length;
  }
  return Buffer.concat([padded(Buffer.concat(head)), ...data]);
}
