import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { load } from "js-yaml";

export const chart = resolve(import.meta.dirname, "../charts/ingot");

/**
 * Packs the Helm chart as `helm package` does, into `ingot-VERSION.tgz` in `directory`; equal files make an equal package.
 * @returns the file's name
 */
export async function packageChart(directory: string): Promise<string> {
  const { name, version } = load(await readFile(join(chart, "Chart.yaml"), "utf8")) as { name: string; version: string };
  const file = `${name}-${version}.tgz`;
  await mkdir(directory, { recursive: true });
  const same = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--sort=name", "--mode=u=rwX,go=rX"];
  // Links lead to files that the manifests have too: a package holds the files.
  const args = [
    ...same,
    "--dereference",
    "--exclude=.helmignore",
    "--use-compress-program=gzip -n",
    "-cf",
    join(directory, file),
  ];
  await promisify(execFile)("tar", [...args, "-C", join(chart, ".."), name]);
  return file;
}

if (import.meta.main) {
  const [directory] = process.argv.slice(2);
  if (directory === undefined) {
    console.error("usage: node manifests/chart.ts DIRECTORY");
    process.exit(2);
  }
  console.log(join(directory, await packageChart(directory)));
}
