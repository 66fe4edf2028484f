import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { latin1 } from "./target.ts";

/** Inputs in the tree: for each parser some that together do everything known to be possible, and all that once found a fault. */
export function keptFile(target: string): string {
  return fileURLToPath(new URL(`corpus/${target}.txt`, import.meta.url));
}

/** Inputs of earlier runs on this machine: more of them, and longer ones. */
export function cacheFile(target: string): string {
  return fileURLToPath(new URL(`../../.cache/fuzz/${target}.txt`, import.meta.url));
}

/** Inputs of a file: a JSON string on each line, of which each character is an octet. None where there is no such file. */
export function readInputs(file: string): Uint8Array[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line.startsWith('"')).map((line) => latin1(JSON.parse(line)));
}

export function writeInputs(file: string, inputs: readonly Uint8Array[]): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, inputs.map((input) => `${inputText(input)}\n`).join(""));
}

/** An input as a line of those files. */
export function inputText(input: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(input).toString("latin1"));
  return text.replaceAll(/[\x7f-\xff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// Size of a file in the tree: characters.
const maxKept = 8_000;

/** The first of the inputs, as many as are worth having in the tree. */
export function worthKeeping(inputs: readonly Uint8Array[]): Uint8Array[] {
  let room = maxKept;
  return inputs.filter((input) => {
    const { length } = inputText(input);
    if (length > room) return false;
    room -= length;
    return true;
  });
}
