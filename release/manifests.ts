import { cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readVersion } from "./image.ts";
import { writeTarGz } from "./tar.ts";

const manifests = resolve(import.meta.dirname, "../manifests");

/**
 * Packs base and components for kustomizations of one's own, as `ingot/manifests` in `ingot-VERSION-manifests.tar.gz` in `directory`. The image
 * keeps its name `ingot`, which a kustomization replaces.
 * @returns the file's name
 */
export async function packageManifests(directory: string): Promise<string> {
  const file = `ingot-${await readVersion()}-manifests.tar.gz`;
  // Not the tests beside them; and links lead to files of the chart: a package holds the files.
  const options = { recursive: true, dereference: true, filter: (path: string) => !path.endsWith(".ts") };
  await writeTarGz(join(directory, file), (parts) => cp(manifests, join(parts, "ingot", "manifests"), options));
  return file;
}
