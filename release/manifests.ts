import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readVersion } from "./image.ts";
import { writeTarGz } from "./tar.ts";

const manifests = resolve(import.meta.dirname, "../manifests");

/**
 * Packs base and components for kustomizations of one's own, as `ingot/manifests` in `ingot-VERSION-manifests.tar.gz` in `directory`. The image
 * keeps its name `ingot`, which a kustomization replaces, and has the tag.
 * @returns the file's name
 */
export async function packageManifests(directory: string, tag: string): Promise<string> {
  const file = `ingot-${await readVersion()}-manifests.tar.gz`;
  // Not the tests beside them; and links lead to files of the chart: a package holds the files.
  const options = { recursive: true, dereference: true, filter: (path: string) => !path.endsWith(".ts") };
  await writeTarGz(join(directory, file), async (parts) => {
    const packed = join(parts, "ingot", "manifests");
    await cp(manifests, packed, options);
    await replaceIn(join(packed, "kustomization.yaml"), /(?<=^ +newTag: ).*$/m, tag);
  });
  return file;
}

/** @throws {Error} where the file has nothing to replace */
export async function replaceIn(file: string, pattern: RegExp, by: string): Promise<void> {
  const text = await readFile(file, "utf8");
  if (!pattern.test(text)) throw new Error(`Cannot package ${file}: it has nothing like ${pattern}`);
  await writeFile(file, text.replace(pattern, by));
}
