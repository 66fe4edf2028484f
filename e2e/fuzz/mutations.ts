import type { Random } from "#pkg/clock";

/** Material for mutations. */
export interface Material {
  readonly random: Random;
  readonly words: readonly Uint8Array[];
  /** Another input, to take parts of. */
  readonly other: Uint8Array;
  readonly isText: boolean;
  readonly maxLength: number;
}

type Mutation = (input: Uint8Array, material: Material) => Uint8Array;

// Where lengths, counters and signs turn over.
const edges = [0, 1, 2, 3, 4, 7, 8, 15, 16, 24, 31, 32, 63, 64, 127, 128, 129, 192, 223, 224, 240, 252, 253, 254, 255];
const wideEdges = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

const onOctets: readonly Mutation[] = [
  (input, { random }) => withOctet(input, pick(random, input.length), (octet) => octet ^ (1 << pick(random, 8))),
  (input, { random }) => withOctet(input, pick(random, input.length), () => pick(random, 256)),
  (input, { random }) => withOctet(input, pick(random, input.length), () => edges[pick(random, edges.length)] ?? 0),
  (input, { random }) => withOctet(input, pick(random, input.length), (octet) => octet + pick(random, 17) - 8),
  (input, { random }) => withNumber(input, random),
  (input, { random }) => withoutPart(input, part(random, input.length)),
  (input, { random }) => input.subarray(0, pick(random, input.length + 1)),
  (input, { random }) => inserted(input, pick(random, input.length + 1), randomOctets(random)),
  (input, { random }) => {
    const { from, to } = part(random, input.length);
    return inserted(input, pick(random, input.length + 1), input.subarray(from, to));
  },
  (input, { random, words }) =>
    inserted(input, pick(random, input.length + 1), words[pick(random, words.length)] ?? new Uint8Array()),
  (input, { random, words }) =>
    overwritten(input, pick(random, input.length), words[pick(random, words.length)] ?? new Uint8Array()),
  (input, { random, other }) => {
    const { from, to } = part(random, other.length);
    return inserted(input, pick(random, input.length + 1), other.subarray(from, to));
  },
  (input, { random, other }) =>
    concat(input.subarray(0, pick(random, input.length + 1)), other.subarray(pick(random, other.length + 1))),
];

/** Mutations of text in lines, each indented, with names, values and brackets. */
const onText: readonly Mutation[] = [
  (input, { random }) => onLines(input, (lines) => lines.toSpliced(pick(random, lines.length), 1 + pick(random, 3))),
  (input, { random }) =>
    onLines(input, (lines) => {
      const { from, to } = part(random, lines.length);
      return lines.toSpliced(pick(random, lines.length + 1), 0, ...lines.slice(from, to));
    }),
  (input, { random, other }) => {
    const others = linesOf(other);
    const { from, to } = part(random, others.length);
    return onLines(input, (lines) => lines.toSpliced(pick(random, lines.length + 1), 0, ...others.slice(from, to)));
  },
  (input, { random }) =>
    onLines(input, (lines) => {
      const { from, to } = part(random, lines.length);
      const indent = " ".repeat(1 + pick(random, 4));
      const shift = pick(random, 2) === 0 ? (line: string) => indent + line : (line: string) => line.replace(/^ {1,2}/, "");
      return lines.map((line, i) => (i >= from && i < to ? shift(line) : line));
    }),
  (input, { random }) => onTokens(input, random, (token, tokens) => tokens[pick(random, tokens.length)] ?? token),
  (input, { random, words }) =>
    onTokens(input, random, () => Buffer.from(words[pick(random, words.length)] ?? "").toString("latin1")),
  (input, { random }) =>
    onTokens(input, random, (token) => `${pick(random, 2) === 0 ? "[" : "{a: "}${token}${pick(random, 2) === 0 ? "]" : "}"}`),
  (input, { random }) => onTokens(input, random, (token) => token.repeat(2 + pick(random, 30))),
  (input, { random }) => onTokens(input, random, () => String(wideEdges[pick(random, wideEdges.length)] ?? 0)),
];

/** An input made from another one by one to eight changes, most often few. */
export function mutate(input: Uint8Array, material: Material): Uint8Array {
  const { random, isText, maxLength } = material;
  let result = input;
  for (let changes = 1 + pick(random, 1 + pick(random, 8)); changes > 0; changes--) {
    const mutations = isText && pick(random, 2) === 0 ? onText : onOctets;
    const mutation = mutations[pick(random, mutations.length)];
    if (mutation !== undefined) result = mutation(result, material).subarray(0, maxLength);
  }
  return result.slice();
}

function pick(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

/** Some of `length` things in a row: short ones more often. */
function part(random: Random, length: number): { readonly from: number; readonly to: number } {
  const from = pick(random, length);
  const most = pick(random, 3) === 0 ? length : Math.min(length, 8);
  return { from, to: Math.min(length, from + 1 + pick(random, most)) };
}

function randomOctets(random: Random): Uint8Array {
  return Uint8Array.from({ length: 1 + pick(random, 8) }, () => pick(random, 256));
}

function withOctet(input: Uint8Array, at: number, change: (octet: number) => number): Uint8Array {
  const octet = input[at];
  return octet === undefined ? input : input.with(at, change(octet) & 0xff);
}

/** An integer of two or four octets, of either order. */
function withNumber(input: Uint8Array, random: Random): Uint8Array {
  const width = pick(random, 2) === 0 ? 2 : 4;
  if (input.length < width) return input;
  const result = input.slice();
  const view = new DataView(result.buffer, result.byteOffset, result.length);
  const at = pick(random, input.length - width + 1);
  const isLittle = pick(random, 2) === 0;
  const edge = pick(random, 2) === 0 ? (wideEdges[pick(random, wideEdges.length)] ?? 0) : pick(random, input.length * 2 + 1);
  if (width === 2) view.setUint16(at, edge & 0xffff, isLittle);
  else view.setUint32(at, edge, isLittle);
  return result;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function inserted(input: Uint8Array, at: number, octets: Uint8Array): Uint8Array {
  return concat(input.subarray(0, at), octets, input.subarray(at));
}

function overwritten(input: Uint8Array, at: number, octets: Uint8Array): Uint8Array {
  return concat(input.subarray(0, at), octets, input.subarray(at + octets.length));
}

function withoutPart(input: Uint8Array, { from, to }: { readonly from: number; readonly to: number }): Uint8Array {
  return concat(input.subarray(0, from), input.subarray(to));
}

function linesOf(input: Uint8Array): string[] {
  return Buffer.from(input).toString("latin1").split("\n");
}

function onLines(input: Uint8Array, change: (lines: string[]) => string[]): Uint8Array {
  return new Uint8Array(Buffer.from(change(linesOf(input)).join("\n"), "latin1"));
}

/** Replaces one word, value or mark. */
function onTokens(input: Uint8Array, random: Random, change: (token: string, tokens: readonly string[]) => string): Uint8Array {
  const text = Buffer.from(input).toString("latin1");
  const tokens = text.match(/[\w.:/+-]+|[^\w\s]/g) ?? [];
  const chosen = pick(random, tokens.length);
  let index = 0;
  const result = text.replace(/[\w.:/+-]+|[^\w\s]/g, (token) => (index++ === chosen ? change(token, tokens) : token));
  return new Uint8Array(Buffer.from(result, "latin1"));
}
