import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

/** A small deliberate fault. */
export interface Break {
  readonly file: string;
  /** Text that stands in the file once. */
  readonly before: string;
  /** What stands there instead. */
  readonly after: string;
  /** Test files, of which one has to fail. */
  readonly tests: readonly string[];
}

export const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * The file with the fault in it.
 * @throws {Error} where the text is not there, or there twice, and where the result could not be loaded: then every test would fail
 */
export function broken({ file, before, after }: Break): string {
  const text = readFileSync(`${root}${file}`, "utf8");
  const found = text.split(before).length - 1;
  if (found !== 1) throw new Error(`Cannot break ${file}: this stands in it ${found} times, wanted once: ${before}`);
  const result = text.replace(before, () => after);
  stripTypeScriptTypes(result);
  return result;
}
