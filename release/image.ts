import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { architectures } from "./debian.ts";
import { readLastStage } from "./dockerfile.ts";
import { type PlatformImage, writeArchive } from "./oci.ts";
import { writeRoot } from "./root.ts";

const checkout = join(import.meta.dirname, "..");

export interface Source {
  /** The commit; where files differ from it, with `-dirty-` and what git would name their tree. Undefined outside a repository. */
  readonly revision: string | undefined;
  /** When the commit was made, in seconds since 1970; 0 where that is not known. */
  readonly committedSeconds: number;
}

/** The source of the image. `SOURCE_DATE_EPOCH` in the environment goes before the time of the commit. */
export async function describeSource(project = checkout): Promise<Source> {
  const index = await mkdtemp(join(tmpdir(), "ingot-index-"));
  const env = { ...process.env, GIT_INDEX_FILE: join(index, "index") }; // The user's staged files stay as they are.
  const git = async (...args: string[]) => (await promisify(execFile)("git", ["-C", project, ...args], { env })).stdout.trim();
  const given = Number(process.env.SOURCE_DATE_EPOCH ?? Number.NaN);
  try {
    const [revision = "", time] = (await git("log", "-1", "--format=%H %ct")).split(" ");
    await git("add", "--all");
    const tree = await git("write-tree");
    const dirty = tree === (await git("rev-parse", "HEAD^{tree}")) ? "" : `-dirty-${tree}`;
    return { revision: revision + dirty, committedSeconds: Number.isSafeInteger(given) ? given : Number(time) };
  } catch {
    return { revision: undefined, committedSeconds: Number.isSafeInteger(given) ? given : 0 };
  } finally {
    await rm(index, { recursive: true });
  }
}

/**
 * The tag of the image: the version, then the commit, so that different builds have different tags, and `kubectl apply` of another build
 * replaces the Pods. Outside a repository it is the version alone.
 */
export async function readTag(project = checkout): Promise<string> {
  const { revision = "" } = await describeSource(project);
  const parts = [await readVersion(), ...revision.split("-").map((part) => part.slice(0, 12))];
  return parts.filter((part) => part !== "").join("-");
}

/** The version that everything of this source has. */
export async function readVersion(): Promise<string> {
  return JSON.parse(await readFile(join(checkout, "package.json"), "utf8")).version;
}

/**
 * Writes the image for all architectures as one archive (see `writeArchive`), with no container engine: what the Dockerfile's last
 * stage says, with the files that `writeRoot` makes for it too.
 * @param name such as `registry.example.com/ingot:0.1.0`
 */
export async function writeImage(file: string, name: string): Promise<void> {
  const { revision, committedSeconds } = await describeSource();
  const { copies, config } = readLastStage(await readFile(join(checkout, "Dockerfile"), "utf8"), { REVISION: revision });
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
  const name = `${process.env.IMAGE || "localhost/ingot"}:${await readTag()}`;
  const file = join(checkout, "dist", `ingot-${version}-image.tar`);
  await mkdir(join(checkout, "dist"), { recursive: true });
  await writeImage(file, name);
  console.log(`${file}: ${name} for ${architectures.join(" and ")}`);
}
