import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";

/**
 * A stack that names places in the source instead of in the bundles, by the maps beside them. Node would do that for every stack with
 * `--enable-source-maps`, and hold 6 MB for it; here a map is read when it is needed, which is when a process ends of an error.
 * A place whose bundle has no map stays as it is.
 */
export function inSource(stack: string): string {
  const maps = new Map<string, SourceMap | undefined>(); // URL of a bundle -> its map
  return stack.replace(/(file:\/\/\S+\.m?js):(\d+):(\d+)/g, (place, bundle: string, line: string, column: string) => {
    if (!maps.has(bundle)) maps.set(bundle, readMap(bundle));
    const origin = maps.get(bundle)?.findOrigin(Number(line), Number(column));
    if (origin === undefined || !("fileName" in origin)) return place;
    return `${new URL(origin.fileName, bundle).href}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

function readMap(bundle: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(bundle)}.map`, "utf8")));
  } catch {
    return undefined;
  }
}
