import { cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readVersion } from "./image.ts";
import { replaceIn } from "./manifests.ts";
import { writeTarGz } from "./tar.ts";

/** The folder of the Helm chart. */
export const chart = resolve(import.meta.dirname, "../charts/ingot");

/**
 * Packs the Helm chart as `helm package` does, into `ingot-VERSION.tgz` in `directory`; equal files make an equal package.
 * @param repository of the image that it takes unless its values say otherwise, such as `registry.example.com/ingot`
 * @param tag of the image; the chart's appVersion
 * @returns the file's name
 */
export async function packageChart(directory: string, repository: string, tag: string): Promise<string> {
  const file = `ingot-${await readVersion()}.tgz`;
  await writeTarGz(join(directory, file), async (parts) => {
    const packed = join(parts, "ingot"); // Helm wants one directory of the chart's name.
    // Links lead to files that the manifests have too: a package holds the files.
    await cp(chart, packed, { recursive: true, dereference: true, filter: (path) => !path.endsWith("/.helmignore") });
    await replaceIn(join(packed, "values.yaml"), /(?<=^ {2}repository: )ingot( #.*)?$/m, repository);
    await replaceIn(join(packed, "Chart.yaml"), /(?<=^appVersion: ).*$/m, tag);
  });
  return file;
}
