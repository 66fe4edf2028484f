import { constants } from "node:fs";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CommandError, run } from "./command.ts";

const version = "v4.3.1";
const cache = resolve(import.meta.dirname, "../../.cache");
const built = join(cache, `helm-${version}`);

/**
 * Helm for tests of the chart: the one that the environment variable `HELM` names, else the one built here earlier.
 * @returns its absolute path, or undefined if it is not installed
 */
export async function installedHelm(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string | undefined> {
  const path = environment.HELM ? resolve(environment.HELM) : built;
  return access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );
}

/** Why a test without Helm is skipped, and how to run it. */
export const helmIsMissing = "Helm is missing: name it in HELM, or run `make helm`, which needs Go";

/** Whether that is Helm 3, which applies nothing on the server's side, and has no options for that. */
export async function isHelm3(helm: string): Promise<boolean> {
  return (await run([helm, "version", "--short"])).startsWith("v3.");
}

/**
 * Builds Helm from its Go module into `.cache/`, unless it is there.
 * @returns its absolute path
 * @throws {Error} that says what to do
 */
async function buildHelm(): Promise<string> {
  const found = await installedHelm();
  if (found !== undefined) return found;
  console.error(`building Helm ${version} into ${built}: some minutes the first time`);
  const folder = `${built}.${process.pid}`; // Two may build at once, and a build may be cut short.
  await mkdir(folder, { recursive: true });
  try {
    await run(["env", `GOBIN=${folder}`, "CGO_ENABLED=0", "go", "install", `helm.sh/helm/v4/cmd/helm@${version}`], {
      timeoutMs: 90 * 60_000,
    });
    await rename(join(folder, "helm"), built);
  } catch (cause) {
    throw new Error("Cannot build Helm for the tests. Install Go 1.26 or later, or set HELM to the path of a Helm", {
      cause: cause instanceof CommandError ? cause : undefined,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return built;
}

if (import.meta.main) console.log(await buildHelm());
