import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Architecture, readLock } from "./debian.ts";
import { nodeArchitecture } from "./modules.ts";

interface NpmPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly os?: string | readonly string[];
  readonly cpu?: string | readonly string[];
}

const project = join(import.meta.dirname, "..");

/**
 * Writes what the images of these architectures consist of, as the two lock files have it (CycloneDX 1.6). It depends on nothing else,
 * so that equal sources give an equal file; `npm sbom` would put the time and a random number in.
 */
export async function writeSbom(file: string, architectures: readonly Architecture[]): Promise<void> {
  const manifest = JSON.parse(await readFile(join(project, "package.json"), "utf8"));
  const { packages } = JSON.parse(await readFile(join(project, "package-lock.json"), "utf8")) as {
    packages: Record<string, NpmPackage>;
  };
  const debian = await readLock();
  const cpus: readonly string[] = architectures.map(nodeArchitecture);
  const has = (wanted: readonly string[], given: string | readonly string[] | undefined) =>
    given === undefined || [given].flat().some((each) => wanted.includes(each));
  const isIncluded = ([path, { dev, os, cpu }]: [string, NpmPackage]) =>
    path !== "" && dev !== true && has(["linux"], os) && has(cpus, cpu);
  const components = [
    ...Object.entries(packages).filter(isIncluded).map(npmComponent),
    ...debian.packages
      .filter(({ architecture }) => architectures.includes(architecture))
      .map(({ name, version, architecture, sha256 }) => {
        const purl = `pkg:deb/debian/${name.replaceAll("+", "%2B")}@${encodeURIComponent(version)}?arch=${architecture}&distro=${debian.release}`;
        return { type: "library", "bom-ref": purl, name, version, purl, hashes: [{ alg: "SHA-256", content: sha256 }] };
      }),
  ];
  const { name, version, description, license } = manifest;
  const component = {
    type: "application",
    "bom-ref": `pkg:npm/${name}@${version}`,
    name,
    version,
    description,
    licenses: licences(license),
  };
  const bom = { bomFormat: "CycloneDX", specVersion: "1.6", version: 1, metadata: { component }, components };
  await writeFile(file, `${JSON.stringify(bom, null, 1)}\n`);
}

function npmComponent([path, { version, integrity, license }]: [string, NpmPackage]): object {
  const name = path.split("node_modules/").at(-1) ?? "";
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const content = Buffer.from(integrity?.replace("sha512-", "") ?? "", "base64").toString("hex");
  return {
    type: "library",
    "bom-ref": purl,
    name,
    version,
    purl,
    licenses: licences(license),
    hashes: [{ alg: "SHA-512", content }],
  };
}

/** An SPDX expression, which a single identifier also is. */
function licences(expression: string | undefined): object[] {
  return expression === undefined ? [] : [{ expression }];
}
