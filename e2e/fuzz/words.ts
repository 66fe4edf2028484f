import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { octetsOf } from "./target.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The numbers and texts in source files, with which a parser compares its input. A number has just the octets that it needs. */
export function wordsIn(...globs: readonly string[]): Uint8Array[] {
  const files = globs.flatMap((glob) => globSync(glob, { cwd: root })).filter((file) => !file.endsWith(".test.ts"));
  const texts = files.map((file) => readFileSync(`${root}${file}`, "utf8").replaceAll(/^import .*$|\/\/.*$|^\s*\/?\*.*$/gm, ""));
  const numbers = texts.flatMap((text) => text.match(/\b(0x[0-9a-f_]+|\d[\d_]*)\b/gi) ?? []);
  const strings = texts.flatMap((text) => [...text.matchAll(/"([^"\\\n]{1,40})"/g)].map(([, inside = ""]) => inside));
  return [...[...new Set(numbers)].flatMap(octetsOfNumber), ...[...new Set(strings)].map(octetsOf)];
}

function octetsOfNumber(literal: string): Uint8Array[] {
  const value = Number(literal.replaceAll("_", ""));
  if (!Number.isSafeInteger(value) || value > 0xffff_ffff) return [];
  const width = value > 0xffff ? 4 : value > 0xff ? 2 : 1;
  return [Uint8Array.from({ length: width }, (_, index) => (value / 256 ** (width - 1 - index)) & 0xff)];
}
