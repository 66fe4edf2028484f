// Classic BPF (linux/filter.h): its instructions, and parts of programs that look a number up among many.

export const loadNumber = 0x00; // BPF_LD | BPF_W | BPF_IMM
export const loadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
export const loadHalfWord = 0x28; // BPF_LD | BPF_H | BPF_ABS
export const loadOctet = 0x30; // BPF_LD | BPF_B | BPF_ABS
export const loadHalfWordIndexed = 0x48; // BPF_LD | BPF_H | BPF_IND
export const loadHeaderLength = 0xb1; // BPF_LDX | BPF_B | BPF_MSH: the length of an IPv4 header into the index.
export const addIndex = 0x0c; // BPF_ALU | BPF_ADD | BPF_X
export const multiplyBy = 0x24; // BPF_ALU | BPF_MUL | BPF_K
export const andWith = 0x54; // BPF_ALU | BPF_AND | BPF_K
export const orWithIndex = 0x4c; // BPF_ALU | BPF_OR | BPF_X
export const shiftRight = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const shiftRightByIndex = 0x7c; // BPF_ALU | BPF_RSH | BPF_X
export const toIndex = 0x07; // BPF_MISC | BPF_TAX
export const store = 0x02; // BPF_ST: into one of 16 words of the program's own.
const loadStored = 0x60; // BPF_LD | BPF_W | BPF_MEM
export const loadStoredIndex = 0x61; // BPF_LDX | BPF_W | BPF_MEM
export const jump = 0x05; // BPF_JMP | BPF_JA
export const jumpIfNotBelow = 0x35; // BPF_JMP | BPF_JGE | BPF_K
export const jumpIfSet = 0x45; // BPF_JMP | BPF_JSET | BPF_K
export const jumpIfEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
export const accept = 0x06; // BPF_RET | BPF_K: how many octets to keep, 0 for none.
const maxInstructions = 4096; // BPF_MAXINSNS
/** How many instructions the kernel makes of one at most, where that is more than one. It takes 8 octets of `net.core.optmem_max` for each. */
const made = new Map([
  [loadWord, 10],
  [loadHalfWord, 10],
  [jumpIfEqual, 2],
  [accept, 2],
]);
const madeBesides = 50; // Octets that it takes for the whole program are counted, too.
const maxJump = 255; // What 8 bits hold.

export type Instruction = readonly [code: number, jumpIfTrue: number, jumpIfFalse: number, value: number];

export function program(instructions: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  for (const [index, [code, jumpIfTrue, jumpIfFalse, value]] of instructions.entries()) {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, jumpIfTrue);
    view.setUint8(8 * index + 3, jumpIfFalse);
    view.setUint32(8 * index + 4, value, true);
  }
  return new Uint8Array(view.buffer);
}

/** The room that is left for a program: for its own instructions, and for those that the kernel makes of them. */
export class Room {
  #own: number;
  #made: number;

  /** @param besides instructions that are added later */
  constructor(optionMemory: number, besides: number) {
    this.#own = maxInstructions - besides;
    this.#made = optionMemory / 8 - madeBesides - 10 * besides;
  }

  /** Whether it fits when there are as many others, each of which may be as long. */
  has(instructions: readonly Instruction[], parts: number): boolean {
    return instructions.length <= this.#own / parts && madeOf(instructions) <= this.#made / parts;
  }

  take(instructions: readonly Instruction[]): void {
    this.#own -= instructions.length;
    this.#made -= madeOf(instructions);
  }
}

function madeOf(instructions: readonly Instruction[]): number {
  return instructions.reduce((sum, [code]) => sum + (made.get(code) ?? 1), 0);
}

/**
 * For each list the part that ends the program with `result` where what was loaded is one of its values: the shorter list leaves room for the
 * longer one.
 */
export function endIfAnyOfEach(lists: readonly (readonly number[])[], result: number, room: Room): Instruction[][] {
  const parts = new Map<readonly number[], Instruction[]>();
  for (const values of lists.toSorted((a, b) => a.length - b.length)) {
    const left = lists.length - parts.size;
    let part = endIfOneOf(values, result);
    for (let size = maxBits; !room.has(part, left); size /= 2) part = endIfLikelyOneOf(values, result, new Uint32Array(size));
    parts.set(values, part);
    room.take(part);
  }
  return lists.map((values) => parts.get(values) ?? []);
}

/** In pieces as long as jumps reach. */
export function endIfOneOf(values: readonly number[], result: number): Instruction[] {
  const instructions: Instruction[] = [];
  for (let from = 0; from < values.length; from += maxJump) {
    const piece = values.slice(from, from + maxJump);
    for (const [index, value] of piece.entries()) instructions.push([jumpIfEqual, piece.length - index, 0, value]);
    instructions.push([jump, 0, 0, 1], [accept, 0, 0, result]);
  }
  return instructions;
}

const maxBits = 1024; // In words of 32. Three instructions hold one.
const spread = 0x9e37_79b1; // The golden ratio: what differs in any bit differs in the upper ones.

/** Also where the digest of a value is that of one of `values`: a bit stands for each. @param bits none are set, in a power of two of words */
function endIfLikelyOneOf(values: readonly number[], result: number, bits: Uint32Array): Instruction[] {
  const unused = 27 - Math.log2(bits.length); // Bits of a digest.
  for (const value of values) {
    const digest = Math.imul(value, spread) >>> unused;
    bits[digest >>> 5] = (bits[digest >>> 5] ?? 0) | (1 << (digest & 31));
  }
  return [
    [multiplyBy, 0, 0, spread],
    [shiftRight, 0, 0, unused],
    [store, 0, 0, 0],
    [andWith, 0, 0, 31],
    [toIndex, 0, 0, 0],
    [loadStored, 0, 0, 0],
    [shiftRight, 0, 0, 5],
    ...loadNumberAt(bits, 0, 0),
    [shiftRightByIndex, 0, 0, 0],
    [jumpIfSet, 0, 1, 1],
    [accept, 0, 0, result],
  ];
}

/** Loads the number whose place was loaded. @param first place of the first of them @param after instructions that follow for other places */
function loadNumberAt(numbers: Uint32Array, first: number, after: number): Instruction[] {
  if (numbers.length === 1)
    return [
      [loadNumber, 0, 0, numbers[0] ?? 0],
      [jump, 0, 0, after],
    ];
  const half = numbers.length / 2;
  const high = loadNumberAt(numbers.subarray(half), first + half, after);
  const low = loadNumberAt(numbers.subarray(0, half), first, after + high.length);
  const isHigh: Instruction[] =
    low.length <= maxJump
      ? [[jumpIfNotBelow, low.length, 0, first + half]]
      : [
          [jumpIfNotBelow, 0, 1, first + half],
          [jump, 0, 0, low.length],
        ];
  return [...isHigh, ...low, ...high];
}
