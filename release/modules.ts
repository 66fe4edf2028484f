import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Architecture } from "./debian.ts";

const project = join(import.meta.dirname, "..");

/** The name of Node and npm. */
export function nodeArchitecture(architecture: Architecture): "x64" | "arm64" {
  return architecture === "amd64" ? "x64" : "arm64";
}

/**
 * Where Node and koffi's addon for that architecture are: the project's own `node_modules` where npm put them there, else a directory
 * that npm installs from the same lock file, in `.cache/` for the next time.
 */
export async function modulesFor(architecture: Architecture): Promise<string> {
  const name = nodeArchitecture(architecture);
  const own = join(project, "node_modules");
  if (existsSync(join(own, `node-linux-${name}`)) && existsSync(join(own, "@koromix", `koffi-linux-${name}`))) return own;
  const manifests = ["package.json", "package-lock.json"];
  const hash = createHash("sha256");
  for (const file of manifests) hash.update(await readFile(join(project, file)));
  const directory = join(project, ".cache", `modules-${name}-${hash.digest("hex").slice(0, 12)}`);
  if (existsSync(directory)) return join(directory, "node_modules");
  const unfinished = `${directory}.${process.pid}`; // Two may install at once, and one may be cut short.
  try {
    await mkdir(unfinished, { recursive: true });
    for (const file of manifests) await cp(join(project, file), join(unfinished, file));
    const flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    await promisify(execFile)("npm", ["ci", ...flags, "--os=linux", `--cpu=${name}`], { cwd: unfinished });
    await rename(unfinished, directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error; // Else another one was there first.
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return join(directory, "node_modules");
}
