import { packetBounds, type Target } from "../target.ts";
import { wordsIn } from "../words.ts";

/** Parsers with a fault each, to see that it is found. */
const sound: Target = {
  name: "sound",
  maxLength: 8,
  seeds: [Uint8Array.of(0, 0, 0, 0, 0, 0)],
  words: wordsIn("e2e/fuzz/testing/planted.ts"),
  isText: false,
  bounds: packetBounds,
  run: () => {},
};

export const deepFault: Target = {
  ...sound,
  // Two of three octets are missing, which chance alone finds together once in 2 ** 16 times.
  seeds: [Uint8Array.of(0x7f, 0, 0)],
  run: ([first, second, third]) => {
    if (first !== 0x7f) return;
    if (second !== 0xfd) return;
    if (third !== 0xc0) return;
    throw new Error("found");
  },
};

export const squareWork: Target = {
  ...sound,
  maxLength: 1_000,
  run: (input) => {
    let sum = 0;
    for (const one of input) for (const other of input) for (let i = 0; i < 8; i++) sum += one ^ other;
    if (sum < 0) throw new Error("cannot be");
  },
};

/** The first octet says how many octets it stands for, in thousands; the second one how much is done for each. */
export const expanding: Target = {
  ...sound,
  size: ([thousands = 0]) => thousands * 1_000,
  run: ([thousands = 0, each = 0]) => {
    let sum = 0;
    for (let i = 0; i < thousands * 1_000 * each; i++) sum += i;
    if (sum < 0) throw new Error("cannot be");
  },
};

export const believedLength: Target = {
  ...sound,
  run: ([high = 0, low = 0]) => void new Uint8Array((high * 256 + low) * 4096).fill(1),
};

export const backtracking: Target = {
  ...sound,
  run: (input) => void /^(a+)+$/.test(Buffer.from(input).toString("latin1")),
};

export const scribbler: Target = {
  ...sound,
  run: (input) => {
    input[0] = 1;
  },
};
