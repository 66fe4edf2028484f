import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  type Architecture,
  addressesOf,
  architectures,
  type DebianLock,
  type LockedPackage,
  packageNames,
  readLock,
  writeLock,
} from "./debian.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"; // The Debian package debian-archive-keyring has it.
const archives = [
  { archive: "debian", suite: (release: string) => release },
  { archive: "debian-security", suite: (release: string) => `${release}-security` },
];

/**
 * The packages as Debian has them now. `apt-get` looks them up in a directory of its own, and checks the index's signature; nothing on
 * the machine changes.
 */
async function currentLock(release: string): Promise<DebianLock> {
  const directory = await mkdtemp(join(tmpdir(), "ingot-debian-"));
  try {
    for (const name of ["lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d"])
      await mkdir(join(directory, name), { recursive: true });
    const lines = archives.map(
      ({ archive, suite }) => `deb [signed-by=${keyring}] ${mirror}/${archive} ${suite(release)} main\n`,
    );
    await writeFile(join(directory, "etc/sources.list"), lines.join(""));
    await writeFile(join(directory, "status"), "");
    const configuration = [
      `Dir::State "${directory}"; Dir::State::status "${directory}/status"; Dir::State::lists "${directory}/lists";`,
      `Dir::Cache "${directory}/cache"; Dir::Etc "${directory}/etc"; Dir::Etc::sourceparts "-";`,
      `APT::Architecture "amd64"; APT::Architectures { ${architectures.map((each) => `"${each}"`).join("; ")}; };`,
      'Acquire::Languages "none"; APT::Update::Error-Mode "any";',
    ];
    await writeFile(join(directory, "apt.conf"), `${configuration.join("\n")}\n`);
    const env = { ...process.env, APT_CONFIG: join(directory, "apt.conf"), LC_ALL: "C" };
    await promisify(execFile)("apt-get", ["update", "-qq"], { env });
    const packages: LockedPackage[] = [];
    for (const architecture of architectures)
      for (const name of packageNames) packages.push(await lookUp(name, architecture, env));
    return { release, snapshot: new Date().toISOString().replace(/[-:]|\.\d+/g, ""), packages };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const mirror = "http://deb.debian.org"; // Its files are signed.

async function lookUp(name: string, architecture: Architecture, env: NodeJS.ProcessEnv): Promise<LockedPackage> {
  const { stdout } = await promisify(execFile)("apt-cache", ["show", "--no-all-versions", `${name}:${architecture}`], { env });
  const value = (key: string) => {
    const found = new RegExp(`^${key}: (.+)$`, "m").exec(stdout)?.[1];
    if (found === undefined) throw new Error(`Cannot look up ${name}: apt-cache says nothing of ${key}`);
    return found;
  };
  const { stdout: uris } = await promisify(execFile)("apt-get", ["download", "--print-uris", `${name}:${architecture}`], { env });
  const path = new RegExp(`^'${mirror}/([^']+)'`, "m").exec(uris)?.[1];
  if (path === undefined) throw new Error(`Cannot look up ${name}: apt-get download says ${uris}`);
  return { name, version: value("Version"), architecture, path, sha256: value("SHA256") };
}

async function isOnMirror(locked: LockedPackage, snapshot: string): Promise<boolean> {
  const found = addressesOf(locked, snapshot).map((address) =>
    fetch(address, { method: "HEAD", signal: AbortSignal.timeout(30_000) }).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return (await Promise.all(found)).includes(true);
}

if (import.meta.main) {
  const locked = await readLock();
  const there = await Promise.all(locked.packages.map((each) => isOnMirror(each, locked.snapshot)));
  if (process.argv[2] === "--if-gone" && !there.includes(false)) process.exit();
  const current = await currentLock(locked.release);
  const before = new Map(locked.packages.map((each) => [each.sha256, each])); // SHA-256 -> package
  const changed = current.packages.filter(({ sha256 }) => !before.has(sha256));
  for (const { name, version, architecture } of changed) console.log(`${name} ${version} ${architecture}`);
  if (changed.length > 0) await writeLock(current);
  else console.log("the lock has what Debian has now");
}
