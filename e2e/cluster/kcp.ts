import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, readFile, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CommandError, run } from "./command.ts";

const source = join(import.meta.dirname, "kcp");
const cache = resolve(import.meta.dirname, "../../.cache");

/**
 * The Kubernetes to test with, as one binary (see `kcp/main.go`): the one that the environment variable `KCP` names, else the
 * one built here earlier, else one built now, which takes Go and some minutes.
 * @returns its absolute path
 * @throws {Error} that says what to do
 */
export async function findKcp(environment: Readonly<Record<string, string | undefined>> = process.env): Promise<string> {
  const given = environment.KCP;
  if (given !== undefined && given !== "") {
    const path = resolve(given);
    if (await isExecutable(path)) return path;
    throw new Error(`Cannot use the Kubernetes binary that KCP names: ${path} is not an executable file`);
  }
  const [mod, sum, main] = await Promise.all(["go.mod", "go.sum", "main.go"].map((file) => readFile(join(source, file), "utf8")));
  const digest = createHash("sha256").update(`${mod}${sum}${main}${process.arch}`).digest("hex").slice(0, 12);
  const path = join(cache, `kcp-${digest}`);
  if (!(await isExecutable(path))) await build(path, /^require k8s\.io\/kubernetes v(\S+)$/m.exec(mod ?? "")?.[1] ?? "");
  return path;
}

async function build(path: string, version: string): Promise<void> {
  const [major, minor] = version.split(".");
  const about = "k8s.io/component-base/version";
  const flags = `-s -w -X ${about}.gitVersion=v${version} -X ${about}.gitMajor=${major} -X ${about}.gitMinor=${minor}`;
  console.error(`building Kubernetes ${version} into ${path}: some minutes and 5 GB of Go's caches the first time`);
  await mkdir(cache, { recursive: true });
  const unfinished = `${path}.${process.pid}`; // Two may build at once, and a build may be cut short.
  const command = [
    "env",
    "CGO_ENABLED=0",
    "go",
    "build",
    "-C",
    source,
    "-trimpath",
    `-ldflags=${flags}`,
    "-o",
    unfinished,
    ".",
  ] as const;
  try {
    await run(command, { timeoutMs: 90 * 60_000 });
  } catch (cause) {
    const advice = "Install Go 1.25 or later, or set KCP to a binary built elsewhere from e2e/cluster/kcp";
    throw new Error(`Cannot build Kubernetes for the tests. ${advice}`, {
      cause: cause instanceof CommandError ? cause : undefined,
    });
  }
  await rename(unfinished, path);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

if (import.meta.main) console.log(await findKcp());
