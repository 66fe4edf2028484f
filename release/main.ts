import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { renderChoices } from "../manifests/render.ts";
import { packageChart } from "./chart.ts";
import { architectures } from "./debian.ts";
import { writeExecutable } from "./executable.ts";
import { readTag, readVersion, writeImage } from "./image.ts";
import { packageManifests } from "./manifests.ts";
import { writeSbom } from "./sbom.ts";
import { writeTarGz } from "./tar.ts";

const project = join(import.meta.dirname, "..");

/**
 * Writes a whole release into a new `directory`: the image, manifests and chart that name it, the parts of the manifests for
 * kustomizations, `ingotctl` for each architecture, a list of contents, and checksums. Needs kubectl; see `render`.
 * @param repository of the image, such as `registry.example.com/ingot`
 * @returns the files' names
 * @throws {Error} if the CHANGELOG does not describe this version
 */
export async function release(directory: string, repository: string): Promise<string[]> {
  const [version, tag] = [await readVersion(), await readTag()];
  const changes = await readFile(join(project, "CHANGELOG.md"), "utf8");
  if (!changes.includes(`\n## ${version}\n`)) throw new Error(`Cannot release: CHANGELOG.md has no section "## ${version}"`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await renderChoices(directory, { name: repository, tag });
  await packageManifests(directory, tag);
  await packageChart(directory, repository, tag);
  await writeSbom(join(directory, `ingot-${version}.cdx.json`), architectures);
  await writeImage(join(directory, `ingot-${version}-image.tar`), `${repository}:${tag}`);
  for (const architecture of architectures)
    await writeTarGz(join(directory, `ingotctl-${version}-linux-${architecture}.tar.gz`), async (parts) => {
      await writeExecutable(join(parts, "ingotctl"), architecture);
      await symlink("ingotctl", join(parts, "kubectl-ingot"));
      await cp(join(project, "ctl/completion/kubectl_complete-ingot"), join(parts, "kubectl_complete-ingot"));
      await cp(join(project, "LICENSE"), join(parts, "LICENSE"));
    });
  const files = (await readdir(directory)).sort();
  const lines = await Promise.all(files.map(async (file) => `${await checksum(join(directory, file))}  ${file}\n`));
  await writeFile(join(directory, "SHA256SUMS"), lines.join(""));
  return [...files, "SHA256SUMS"];
}

async function checksum(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

if (import.meta.main) {
  const directory = resolve(project, process.argv[2] ?? "dist");
  for (const file of await release(directory, process.env.IMAGE || "localhost/ingot")) console.log(join(directory, file));
}
