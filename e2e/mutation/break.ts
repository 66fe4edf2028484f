import { globSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { fileURLToPath } from "node:url";

/** A small deliberate fault. No row names a file: sources may be moved and reformatted, and the fault is still found. */
export interface Break {
  /** Text that stands in the product once. A blank stands for any white space. */
  readonly before: string;
  /** The text that replaces it. */
  readonly after: string;
  /** Test files, of which one has to fail. */
  readonly tests: readonly string[];
}

/** A source file with a fault in it. */
export interface Broken {
  readonly file: string;
  readonly text: string;
}

export const root = fileURLToPath(new URL("../../", import.meta.url));
const isTest = (file: string) => file.endsWith(".test.ts") || file.includes("testing/");

/** The product's sources: file -> text. */
export function productSources(): ReadonlyMap<string, string> {
  const files = globSync(["{pkg,controller,speaker,ctl,release}/**/*.ts", "build.ts"], { cwd: root }).filter(
    (file) => !isTest(file),
  );
  return new Map(files.map((file) => [file, readFileSync(`${root}${file}`, "utf8")]));
}

/**
 * Finds what is to be broken, and breaks it.
 * @throws {Error} where the text is not in the sources, or twice; where a test is missing; and where the result could not be loaded, which would fail
 * every test
 */
export function broken({ before, after, tests }: Break, sources: ReadonlyMap<string, string>): Broken {
  for (const pattern of tests)
    if (globSync(pattern, { cwd: root }).length === 0) throw new Error(`Cannot break "${before}": there is no ${pattern}`);
  const wanted = new RegExp(
    before
      .split(/\s+/)
      .map((word) => word.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
      .join("\\s+"),
    "g",
  );
  const found = [...sources].flatMap(([file, text]) =>
    [...text.matchAll(wanted)].map(({ index, 0: { length } }) => ({ file, text, index, length })),
  );
  const [place] = found;
  if (place === undefined || found.length > 1) {
    const files = [...new Set(found.map(({ file }) => file))].join(", ") || "no source";
    throw new Error(`Cannot break "${before}": it stands in the sources ${found.length} times, wanted once: ${files}`);
  }
  const text = `${place.text.slice(0, place.index)}${after}${place.text.slice(place.index + place.length)}`;
  stripTypeScriptTypes(text);
  return { file: place.file, text };
}
