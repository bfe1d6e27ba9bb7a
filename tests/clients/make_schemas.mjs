// usage: node tests/clients/make_schemas.mjs > tests/data/schemas.json
// 200 JSON schemas of the kinds that clients send, always the same ones.
const schemas = [];
const add = (...list) => schemas.push(...list);
const object = (properties, extra = {}) => ({
  type: 'object', properties, required: Object.keys(properties), additionalProperties: false, ...extra,
});

// Types, alone and as lists.
const types = ['null', 'boolean', 'integer', 'number', 'string'];
for (const type of types) add({ type }, object({ value: { type } }), { type: 'array', items: { type }, maxItems: 3 });
for (let i = 0; i < types.length; ++i) add({ type: [types[i], types[(i + 2) % 5]] });

// Bounds of numbers.
for (const [low, high] of [[0, 9], [1, 100], [-5, 5], [18, 120], [1900, 2100], [-273, -1], [7, 7], [0, 65535]]) {
  add({ type: 'integer', minimum: low, maximum: high },
    { type: 'number', minimum: low, maximum: high },
    object({ n: { type: 'integer', exclusiveMinimum: low - 1, exclusiveMaximum: high + 1 } }));
}
for (const [low, high] of [[0.5, 1.5], [-0.25, 0.25], [3.14, 3.15], [99.9, 100]]) {
  add({ type: 'number', minimum: low, maximum: high }, { type: 'number', exclusiveMinimum: low, exclusiveMaximum: high });
}
add({ type: 'integer', minimum: 1 }, { type: 'integer', maximum: -1 }, { type: 'number', exclusiveMinimum: 0 },
  { type: 'number', maximum: 0 }, { type: 'integer', multipleOf: 1 });

// Lengths.
for (const [least, most] of [[0, 0], [1, 1], [0, 5], [3, 8], [10, 40], [2, undefined], [0, 200]]) {
  const size = { minLength: least, ...(most === undefined ? {} : { maxLength: most }) };
  add({ type: 'string', ...size });
  if (most !== undefined) add({ type: 'array', items: { type: 'boolean' }, minItems: least, maxItems: most });
}

// Enums and constants.
add({ enum: ['red', 'green', 'blue'] }, { enum: [1, 2.5, -3] }, { enum: [null, true, 'x', 0] },
  { enum: ['with "quotes"', 'back\\slash', 'new\nline', 'ünïcödé', ''] }, { const: 'only' }, { const: 42 },
  { const: null }, { const: { a: [1, { b: 'c' }] } }, { type: 'string', enum: ['a', 'ab', 'abc', 'b'] },
  { enum: Array.from({ length: 60 }, (_, i) => `choice-${i}`) });

// Objects: optional members, other members, nesting.
for (let n = 1; n <= 6; ++n) {
  const properties = {};
  for (let i = 0; i < n; ++i) properties[`p${i}`] = [{ type: 'integer', minimum: 0, maximum: 9 }, { type: 'boolean' }, { enum: ['u', 'v'] }][i % 3];
  const names = Object.keys(properties);
  add(object(properties), object(properties, { required: [] }), object(properties, { required: names.filter((_, i) => i % 2) }),
    { type: 'object', properties, required: names.slice(0, 1) });
}
add({ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: { type: 'boolean' } },
  { type: 'object', additionalProperties: { type: 'integer', minimum: 0, maximum: 5 } },
  { type: 'object', additionalProperties: { enum: ['x'] }, maxProperties: 3 },
  { type: 'object', additionalProperties: false },
  { type: 'object', properties: { key: { const: 1 }, kez: { const: 2 } }, additionalProperties: { type: 'null' } },
  { type: 'object', required: ['free'] }, { type: 'object', properties: { 'odd "name"\n': { type: 'null' } }, required: ['odd "name"\n'] });
let nested = { type: 'integer', minimum: 0, maximum: 1 };
for (let depth = 1; depth <= 8; ++depth) {
  nested = depth % 2 ? object({ inner: nested }) : { type: 'array', items: nested, minItems: 1, maxItems: 2 };
  add(nested);
}

// Arrays and tuples.
add({ type: 'array', prefixItems: [{ type: 'integer' }, { enum: ['a', 'b'] }], minItems: 2, maxItems: 2, items: false },
  { type: 'array', prefixItems: [{ const: 1 }], items: { const: 2 }, maxItems: 4 },
  { type: 'array', prefixItems: [{ type: 'boolean' }, { type: 'null' }, { type: 'integer', minimum: 1, maximum: 3 }], minItems: 1, maxItems: 3, items: false },
  { type: 'array', items: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9 }, minItems: 3, maxItems: 3 }, minItems: 3, maxItems: 3 },
  { type: 'array', items: { enum: ['a', 'b'] }, uniqueItems: false, maxItems: 6 },
  { type: 'array', items: object({ x: { type: 'number', minimum: -1, maximum: 1 }, y: { type: 'boolean' } }), minItems: 1, maxItems: 4 });

// Patterns and formats.
for (const pattern of ['^[a-z]+$', '^\\d{3}-\\d{4}$', '^(foo|bar)?$', '^[A-Z][a-z]{0,9}( [A-Z][a-z]{1,9}){0,2}$', 'x', '^a', 'z$',
  '^[^\\s"]{1,10}$', '^\\w+@\\w+$', '^#[0-9a-fA-F]{6}$', '^v\\d+\\.\\d+\\.\\d+(-[a-z]+)?$', '^(a|b{2,3}|[cd]+)*$', '^\\S{2,5}$',
  '^[\\u00e0-\\u00ff]{1,4}$', '^.{1,12}$', '^"\\\\"$']) {
  add({ type: 'string', pattern });
}
for (const format of ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri']) {
  add({ type: 'string', format }, object({ f: { type: 'string', format } }));
}

// Combinations and references.
add({ anyOf: [{ type: 'integer', minimum: 0, maximum: 9 }, { type: 'null' }] },
  { anyOf: [object({ kind: { const: 'a' }, n: { type: 'integer' } }), object({ kind: { const: 'b' }, s: { type: 'string', maxLength: 9 } })] },
  { oneOf: [{ const: 1 }, { const: 'one' }] },
  { oneOf: [object({ a: { type: 'null' } }), object({ b: { type: 'null' } })] },
  { allOf: [{ type: 'integer', minimum: 3 }, { maximum: 8 }] },
  { allOf: [{ $ref: '#/$defs/base' }, { type: 'object', properties: { b: { type: 'boolean' } }, required: ['b'] }], $defs: { base: { type: 'object', properties: { a: { enum: [1, 2] } }, required: ['a'] } } },
  { $ref: '#/$defs/color', $defs: { color: { enum: ['red', 'blue'] } } },
  object({ from: { $ref: '#/$defs/point' }, to: { $ref: '#/$defs/point' } }, { $defs: { point: object({ x: { type: 'integer', minimum: 0, maximum: 99 }, y: { type: 'integer', minimum: 0, maximum: 99 } }) } }),
  object({ name: { type: 'string', maxLength: 10 }, children: { type: 'array', items: { $ref: '#' }, maxItems: 1 } }),
  { $ref: '#/definitions/list', definitions: { list: { anyOf: [{ type: 'null' }, object({ head: { enum: [1] }, tail: { $ref: '#/definitions/list' } })] } } },
  { type: 'object', properties: { id: { type: 'integer', minimum: 1, maximum: 99 } }, required: ['id'], anyOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: { const: 2 } }, required: ['b'] }] },
  object({ maybe: { anyOf: [{ $ref: '#/$defs/t' }, { type: 'null' }], default: null, title: 'Maybe' } }, { title: 'Model', $defs: { t: { type: 'array', items: { type: 'boolean' }, maxItems: 2 } } }));

// What a client asks for in earnest.
add(object({ name: { type: 'string', minLength: 1, maxLength: 40 }, age: { type: 'integer', minimum: 0, maximum: 130 }, email: { type: 'string', format: 'email' }, tags: { type: 'array', items: { type: 'string', maxLength: 12 }, maxItems: 3 } }),
  object({ city: { enum: ['Paris', 'Rome', 'Oslo'] }, days: { type: 'integer', minimum: 1, maximum: 14 }, unit: { enum: ['celsius', 'fahrenheit'] } }),
  object({ steps: { type: 'array', items: object({ explanation: { type: 'string', maxLength: 60 }, output: { type: 'string', maxLength: 20 } }), minItems: 1, maxItems: 2 }, final_answer: { type: 'string', maxLength: 20 } }),
  object({ date: { type: 'string', format: 'date' }, participants: { type: 'array', items: { type: 'string', maxLength: 15 }, minItems: 1, maxItems: 3 }, private: { type: 'boolean' } }),
  object({ title: { type: 'string', maxLength: 50 }, rating: { type: 'number', minimum: 0, maximum: 5 }, isbn: { type: 'string', pattern: '^\\d{13}$' }, published: { type: ['integer', 'null'], minimum: 1400, maximum: 2030 } }));

// The rest: objects that mix everything above, drawn with a fixed generator.
let state = 1;
const draw = (n) => (state = (state * 48271) % 2147483647) % n;
const parts = schemas.filter((schema) => !JSON.stringify(schema).includes('$ref') && JSON.stringify(schema).length < 200);
while (schemas.length < 200) {
  const properties = {};
  for (let i = 0; i <= draw(4); ++i) properties[`m${i}`] = parts[draw(parts.length)];
  add(object(properties, { required: Object.keys(properties).filter(() => draw(3) > 0) }));
}
if (schemas.length !== 200) throw new Error(`there are ${schemas.length} schemas`);
process.stdout.write(`[\n${schemas.map((schema) => JSON.stringify(schema)).join(',\n')}\n]\n`);
