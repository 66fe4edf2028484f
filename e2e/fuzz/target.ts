import type { Random } from "#pkg/clock";

/** A parser, and its rules for any input. */
export interface Target {
  /** Its name in `make fuzz TARGET=…`. */
  readonly name: string;
  /** Length of inputs, in octets. */
  readonly maxLength: number;
  /** Inputs to begin with, such as captures. */
  readonly seeds: readonly Uint8Array[];
  /** Words with a meaning for it, to be put into inputs. */
  readonly words: readonly Uint8Array[];
  /** Lines and nesting are changed too. */
  readonly isText: boolean;
  /** Sets right what would be refused at once, such as a length or a checksum. */
  readonly repair?: (input: Uint8Array, random: Random) => Uint8Array;
  /** Parses it. @throws {Error} for a fault of the parser; its own errors about the input do not leave this */
  readonly run: (input: Uint8Array) => void;
  readonly bounds: Bounds;
  /** How many octets its bounds take an input for, where that may stand for much more than it has. */
  readonly size?: (input: Uint8Array) => number;
}

/** The most that one input may cost. */
export interface Bounds {
  /** Blocks of code that are run: a fixed number, and for each octet of the input. The same on any machine. */
  readonly work: number;
  readonly workPerOctet: number;
  /** Memory that is allocated while it runs: MiB, and octets for each of the input. */
  readonly memory: number;
  readonly memoryPerOctet?: number;
  /** Processor time, in units of `referenceWork`: for work outside blocks, such as regular expressions. */
  readonly time: number;
  readonly timePerOctet?: number;
}

/** For packets, each of which anybody may send at any rate. */
export const packetBounds: Bounds = { work: 300, workPerOctet: 10, memory: 4, time: 25 };

export function octetsOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Each character an octet. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
}

export function textOf(input: Uint8Array): string {
  return Buffer.from(input.buffer, input.byteOffset, input.length).toString("utf8");
}
