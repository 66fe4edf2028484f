import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";

const here = import.meta.dirname;

/** Files that people apply with one command: file -> the components on top of the base. */
export const choices: Readonly<Record<string, readonly string[]>> = {
  "ingot.yaml": [],
  "ingot-ha.yaml": ["ha"],
  "ingot-bgp-passwords.yaml": ["bgp-passwords"],
  "ingot-net-admin.yaml": ["net-admin"],
  "ingot-prometheus.yaml": ["prometheus"],
};

/** Where the cluster pulls the image from, such as `registry.example.com/ingot` and `0.1.0`. */
export interface ImageName {
  readonly name: string;
  readonly tag: string;
}

/**
 * Renders the manifests with components, as `kubectl apply -k` would apply them. Takes `kubectl` from the search path, or from the
 * environment variable `KUBECTL`.
 * @param components names of folders in `components/`, the first to be applied first
 * @param overlay other fields of a kustomization, such as `namespace`
 * @throws {Error} with the message of kustomize, or where there is no kubectl
 */
export async function render(components: readonly string[], image: ImageName, overlay: object = {}): Promise<string> {
  const kubectl = process.env.KUBECTL || "kubectl";
  const folder = await realpath(await mkdtemp(join(tmpdir(), "ingot-render-")));
  try {
    const path = (...parts: string[]) => relative(folder, join(here, ...parts));
    const kustomization = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      resources: [path()],
      components: components.map((name) => path("components", name)),
      images: [{ name: "ingot", newName: image.name, newTag: image.tag }],
      ...overlay,
    };
    await writeFile(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
    const { stdout } = await promisify(execFile)(kubectl, ["kustomize", folder], { maxBuffer: 1 << 24 });
    return stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    const why = code === "ENOENT" ? `there is no ${kubectl}; install kubectl, or name it in KUBECTL` : stderr?.trim();
    throw new Error(`Cannot render the manifests with ${components.join(", ") || "no components"}: ${why ?? cause}`, { cause });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * Writes every choice into `directory`.
 * @returns the files' names
 */
export async function renderChoices(directory: string, image: ImageName): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const files = Object.keys(choices);
  for (const file of files) await writeFile(join(directory, file), await render(choices[file] ?? [], image));
  return files;
}

if (import.meta.main) {
  const [directory, image] = process.argv.slice(2);
  const [, name, tag] = /^(.+):([^:/]+)$/.exec(image ?? "") ?? [];
  if (directory === undefined || name === undefined || tag === undefined) {
    console.error("usage: node manifests/render.ts DIRECTORY IMAGE:TAG");
    process.exit(2);
  }
  for (const file of await renderChoices(resolve(directory), { name, tag })) console.log(join(directory, file));
}
