import { cp, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readVersion } from "./image.ts";
import { writeTarGz } from "./tar.ts";

/** The folder of the Helm chart. */
export const chart = resolve(import.meta.dirname, "../charts/ingot");

/**
 * Packs the Helm chart as `helm package` does, into `ingot-VERSION.tgz` in `directory`; equal files make an equal package.
 * @param repository of the image that it takes unless its values say otherwise, such as `registry.example.com/ingot`
 * @returns the file's name
 */
export async function packageChart(directory: string, repository: string): Promise<string> {
  const file = `ingot-${await readVersion()}.tgz`;
  await writeTarGz(join(directory, file), async (parts) => {
    const packed = join(parts, "ingot"); // Helm wants one directory of the chart's name.
    // Links lead to files that the manifests have too: a package holds the files.
    await cp(chart, packed, { recursive: true, dereference: true, filter: (path) => !path.endsWith("/.helmignore") });
    const values = join(packed, "values.yaml");
    const text = await readFile(values, "utf8");
    const named = text.replace(/^ {2}repository: ingot( #.*)?$/m, `  repository: ${repository}`);
    if (named === text) throw new Error(`Cannot package the chart: ${values} has no image.repository "ingot" to replace`);
    await writeFile(values, named);
  });
  return file;
}
