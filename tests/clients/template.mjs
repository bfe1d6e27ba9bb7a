// A copy of a GGUF file with another chat template, or with further keys.
import { readFileSync, writeFileSync } from "node:fs";

const KEY = "tokenizer.chat_template";
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]; // of the types of values
const UINT32 = 4;
const STRING = 8;
const ARRAY = 9;

export function withTemplate(source, target, template) {
  rewrite(source, target, template, {});
}

// `integers`: by key, which the file has not.
export function withIntegers(source, target, integers) {
  rewrite(source, target, undefined, integers);
}

function rewrite(source, target, template, integers) {
  const bytes = Buffer.from(readFileSync(source));
  let at = 8; // magic and version
  const number = () => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const word = () => bytes.readUInt32LE((at += 4) - 4);
  const string = () => {
    const size = number();
    return bytes.toString("utf8", at, (at += size));
  };
  const skip = (type) => {
    if (type === STRING) string();
    else if (type === ARRAY) {
      const inner = word();
      for (let left = number(); left > 0; left -= 1) skip(inner);
    } else at += SIZES[type];
  };
  const sized = (text) => {
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([size, Buffer.from(text)]);
  };
  const tensors = number();
  const counted = at;
  const keys = number();
  let begin, end;
  let alignment = 32;
  for (let left = keys; left > 0; left -= 1) {
    const key = string();
    const type = word();
    if (key === "general.alignment") alignment = bytes.readUInt32LE(at);
    if (key === KEY) begin = at;
    skip(type);
    if (key === KEY) end = at;
  }
  const behind = at; // all keys
  const added = Object.entries(integers).map(([key, value]) => {
    const number = Buffer.alloc(8);
    number.writeUInt32LE(UINT32);
    number.writeUInt32LE(value, 4);
    return Buffer.concat([sized(key), number]);
  });
  bytes.writeBigUInt64LE(BigInt(keys + added.length), counted);
  for (let left = tensors; left > 0; left -= 1) {
    string();
    const dimensions = word();
    at += 8 * dimensions;
    at += 4 + 8; // type, offset
  }
  const aligned = (size) => Math.ceil(size / alignment) * alignment;
  const until = template === undefined ? end : begin;
  const text = template === undefined ? Buffer.alloc(0) : sized(template);
  const head = [
    bytes.subarray(0, until),
    text,
    bytes.subarray(end, behind),
    ...added,
    bytes.subarray(behind, at),
  ];
  const length = head.reduce((sum, part) => sum + part.length, 0);
  const padding = Buffer.alloc(aligned(length) - length);
  writeFileSync(target, Buffer.concat([...head, padding, bytes.subarray(aligned(at))]));
}
