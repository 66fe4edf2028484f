import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { architectures } from "./debian.ts";
import { readLastStage } from "./dockerfile.ts";
import { type PlatformImage, writeArchive } from "./oci.ts";
import { writeRoot } from "./root.ts";

const project = join(import.meta.dirname, "..");

export interface Source {
  /** Of git; with `-dirty` at the end where files differ from it; undefined outside a repository. */
  readonly revision: string | undefined;
  /** When the commit was made, in seconds since 1970; 0 where that is not known. */
  readonly committedSeconds: number;
}

/** What the image is made from. `SOURCE_DATE_EPOCH` in the environment goes before the time of the commit. */
export async function describeSource(): Promise<Source> {
  const git = async (...args: string[]) => (await promisify(execFile)("git", ["-C", project, ...args])).stdout.trim();
  const given = Number(process.env.SOURCE_DATE_EPOCH ?? Number.NaN);
  try {
    const [revision = "", time] = (await git("log", "-1", "--format=%H %ct")).split(" ");
    const dirty = (await git("status", "--porcelain")) === "" ? "" : "-dirty";
    return { revision: revision + dirty, committedSeconds: Number.isSafeInteger(given) ? given : Number(time) };
  } catch {
    return { revision: undefined, committedSeconds: Number.isSafeInteger(given) ? given : 0 };
  }
}

/** The version that everything of this source has. */
export async function readVersion(): Promise<string> {
  return JSON.parse(await readFile(join(project, "package.json"), "utf8")).version;
}

/**
 * Writes the image for all architectures as one archive (see `writeArchive`), with no container engine: what the Dockerfile's last
 * stage says, with the files that `writeRoot` makes for it too.
 * @param name such as `registry.example.com/ingot:0.1.0`
 */
export async function writeImage(file: string, name: string): Promise<void> {
  const { revision, committedSeconds } = await describeSource();
  const { copies, config } = readLastStage(await readFile(join(project, "Dockerfile"), "utf8"), { REVISION: revision });
  const roots = await mkdtemp(`${file}.`);
  try {
    const platforms: PlatformImage[] = [];
    for (const architecture of architectures) {
      await writeRoot(join(roots, architecture), architecture);
      const layers = copies.map((directory) => join(roots, architecture, basename(directory)));
      platforms.push({ architecture, layers, config });
    }
    await writeArchive(file, { name, platforms, createdSeconds: committedSeconds, compression: "gzip" });
  } finally {
    await rm(roots, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const version = await readVersion();
  const name = `${process.env.IMAGE || "localhost/ingot"}:${version}`;
  const file = join(project, "dist", `ingot-${version}-image.tar`);
  await mkdir(join(project, "dist"), { recursive: true });
  await writeImage(file, name);
  console.log(`${file}: ${name} for ${architectures.join(" and ")}`);
}
