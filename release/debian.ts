import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Names of Debian and container images. */
export const architectures = ["amd64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

/** One Debian package, exactly. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: Architecture;
  /** On a mirror, such as `debian/pool/main/g/glibc/libc6_2.41-12_amd64.deb`. */
  readonly path: string;
  /** In hexadecimal, from Debian's signed index. */
  readonly sha256: string;
}

export interface DebianLock {
  /** Such as `trixie`. */
  readonly release: string;
  /** When Debian had these packages, as snapshot.debian.org writes it: `20261120T000000Z`. */
  readonly snapshot: string;
  readonly packages: readonly LockedPackage[];
}

const triplets: Record<Architecture, string> = { amd64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

// Package -> what of it is in the image: what Node and koffi's addon are linked with, which release this is, the licences.
const members: Record<string, (architecture: Architecture) => readonly string[]> = {
  "base-files": (architecture) => [
    ...["lib", "etc/os-release", "usr/lib/os-release", "usr/share/doc/base-files/copyright"],
    ...(architecture === "amd64" ? ["lib64"] : []),
  ],
  "gcc-14-base": () => ["usr/share/doc/gcc-14-base/copyright"],
  libc6: (architecture) => [
    ...["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"].map((name) => `usr/lib/${triplets[architecture]}/${name}`),
    ...(architecture === "amd64"
      ? ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"]
      : ["usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"]),
    "usr/share/doc/libc6/copyright",
  ],
  "libgcc-s1": (architecture) => [`usr/lib/${triplets[architecture]}/libgcc_s.so.1`, "usr/share/doc/libgcc-s1"],
  "libstdc++6": (architecture) => [
    ...["libstdc++.so.6", "libstdc++.so.6.0.33"].map((name) => `usr/lib/${triplets[architecture]}/${name}`),
    "usr/share/doc/libstdc++6",
  ],
};

export const packageNames = Object.keys(members);
const lockFile = join(import.meta.dirname, "debian.lock.json");
const cache = join(import.meta.dirname, "../.cache/debian");

export async function readLock(): Promise<DebianLock> {
  return JSON.parse(await readFile(lockFile, "utf8"));
}

export async function writeLock(lock: DebianLock): Promise<void> {
  await writeFile(lockFile, `${JSON.stringify(lock, null, 2)}\n`);
}

/**
 * Writes the Debian part of the image for one architecture into `directory`, and each package's control file where scanners of images
 * look for it. A package is fetched once, and has to have the checksum of the lock, from any server. Needs the programs tar and xz.
 * @throws {Error} for a package that no mirror has, or that is not the one of the lock
 */
export async function writeDebianFiles(directory: string, architecture: Architecture, lock: DebianLock): Promise<void> {
  const packages = lock.packages.filter((each) => each.architecture === architecture);
  const status = join(directory, "var/lib/dpkg/status.d");
  await mkdir(status, { recursive: true });
  for (const each of packages) {
    const parts = arMembers(await readPackage(each, lock.snapshot));
    const part = (name: string) => {
      const data = parts.get(`${name}.tar.xz`);
      if (data === undefined) throw new Error(`Cannot unpack ${each.path}: it has ${[...parts.keys()]}, not ${name}.tar.xz`);
      return data;
    };
    const wanted = members[each.name]?.(architecture);
    if (wanted === undefined) throw new Error(`Cannot unpack ${each.name}: which of its files the image has is not known`);
    await unpack(part("data"), directory, wanted);
    await unpack(part("control"), status, ["control"]);
    await rename(join(status, "control"), join(status, each.name));
  }
}

/** The mirrors delete what was replaced; snapshot.debian.org keeps everything. */
export function addressesOf({ path }: LockedPackage, snapshot: string): string[] {
  const [archive, ...rest] = path.split("/");
  return [`https://deb.debian.org/${path}`, `https://snapshot.debian.org/archive/${archive}/${snapshot}/${rest.join("/")}`];
}

async function readPackage(locked: LockedPackage, snapshot: string): Promise<Buffer> {
  const file = join(cache, `${locked.sha256}.deb`);
  const cached = await readFile(file).catch(() => undefined);
  if (cached !== undefined && sha256(cached) === locked.sha256) return cached;
  const deb = await fetchPackage(locked, snapshot);
  await mkdir(cache, { recursive: true });
  await writeFile(`${file}.${process.pid}`, deb);
  await rename(`${file}.${process.pid}`, file);
  return deb;
}

async function fetchPackage(locked: LockedPackage, snapshot: string): Promise<Buffer> {
  const failures: string[] = [];
  const addresses = addressesOf(locked, snapshot);
  for (const address of [...addresses, ...addresses]) {
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(120_000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const deb = Buffer.from(await response.arrayBuffer());
      const found = sha256(deb);
      if (found !== locked.sha256) throw new Error(`its SHA-256 is ${found}, not ${locked.sha256} as the lock has it`);
      return deb;
    } catch (error) {
      const { message, cause } = error as Error;
      failures.push(`${address}: ${cause instanceof Error ? cause.message : message}`);
    }
  }
  throw new Error(`Cannot fetch ${locked.name}; if Debian replaced it, run make debian-lock\n${failures.join("\n")}`);
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** The members of an archive in the format of `ar` (deb(5)), by name. */
export function arMembers(archive: Buffer): Map<string, Buffer> {
  if (archive.toString("latin1", 0, 8) !== "!<arch>\n") throw new Error("Cannot read package: it is no ar archive");
  const found = new Map<string, Buffer>();
  for (let at = 8; at + 60 <= archive.length; ) {
    const header = archive.toString("latin1", at, at + 60);
    const size = Number(header.slice(48, 58));
    if (header.slice(58) !== "`\n" || !Number.isSafeInteger(size) || size < 0 || at + 60 + size > archive.length)
      throw new Error(`Cannot read package: no whole member of an ar archive at offset ${at}`);
    found.set(header.slice(0, 16).trim().replace(/\/$/, ""), archive.subarray(at + 60, at + 60 + size));
    at += 60 + size + (size % 2);
  }
  return found;
}

/** @throws {Error} with what tar said, also where a name is missing */
function unpack(archive: Buffer, directory: string, names: readonly string[]): Promise<void> {
  const args = ["-xJf", "-", "-C", directory, "--no-same-owner", ...names.map((name) => `./${name}`)];
  return new Promise((resolve, reject) => {
    const tar = spawn("tar", args, { stdio: ["pipe", "ignore", "pipe"] });
    let said = "";
    tar.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    tar.on("error", (error) => reject(new Error(`Cannot unpack a package: tar: ${error.message}`)));
    tar.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`Cannot unpack a package: ${said.trim()}`))));
    tar.stdin.on("error", () => {}); // It may end early; its exit status says whether that matters.
    tar.stdin.end(archive);
  });
}
