import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { remembered } from "#pkg/collections";

const source = join(import.meta.dirname, "peer");
const cache = resolve(import.meta.dirname, "../../.cache");

/** Versions of HashiCorp's library: the one that MetalLB v0.12.1 has inside, and a current one. */
export const goVersions = ["v0.1.7", "v0.6.0"] as const;
export type GoVersion = (typeof goVersions)[number];

const modules: Record<GoVersion, { readonly file: string; readonly flags: readonly string[] }> = {
  "v0.1.7": { file: "v0.1.7", flags: ["-modfile=v0.1.7.mod", "-tags=memberlist_v0_1_7"] },
  "v0.6.0": { file: "go", flags: [] },
};

const builds = new Map<GoVersion, Promise<string>>();

/**
 * The program in `peer/` with this version of the library, built now unless it was built earlier.
 * @returns its absolute path
 * @throws {Error} that says what to do, when there is no Go or the modules cannot be had
 */
export function goPeer(version: GoVersion): Promise<string> {
  return remembered(builds, version, goVersions.length, build);
}

async function build(version: GoVersion): Promise<string> {
  const { file, flags } = modules[version];
  const inputs = ["main.go", "label.go", "no_label.go", `${file}.mod`, `${file}.sum`];
  const digest = createHash("sha256").update(process.arch);
  for (const input of inputs) digest.update(await readFile(join(source, input)));
  const path = join(cache, `memberlist-${version}-${digest.digest("hex").slice(0, 12)}`);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const unfinished = `${path}.${process.pid}`; // Another process may build it too, and a build may be cut short.
  const environment = { ...process.env, CGO_ENABLED: "0" };
  const compiled = promisify(execFile)("go", ["build", "-C", source, ...flags, "-trimpath", "-o", unfinished, "."], {
    env: environment,
    timeout: 60 * 60_000,
  });
  await compiled.catch((cause: unknown) => {
    throw new Error(`Cannot build a memberlist ${version} peer: install Go 1.25 or later, with access to a module proxy`, {
      cause,
    });
  });
  await rename(unfinished, path);
  return path;
}

/** Why there is no such peer here, for the `skip` of a test; false when there is one. */
export async function goPeerMissing(version: GoVersion): Promise<string | false> {
  return goPeer(version).then(
    () => false,
    (error: Error) => error.message,
  );
}
