import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./command.ts";
import { cache, kept } from "./kept.ts";

/** With a tag other than `latest`, so that the kubelet does not look for a newer one. */
export const ingotImage = { name: "localhost/ingot", tag: "e2e" };

const project = resolve(import.meta.dirname, "../..");
const minutes = 60_000;

// Contents of the image in which the Dockerfile builds; Node and npm come from npm.
const debian = { release: "trixie", packages: ["base-files", "coreutils", "dash", "libstdc++6", "tar", "xz-utils"] };
const npmVersion = "11.19.1";
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The image, built from the Dockerfile by buildah, as the docker archive that containerd imports. It is kept in `.cache/` for
 * as long as nothing that it is made from changes. The base, which elsewhere a registry has, is a Debian made here.
 * Needs root and the Debian packages buildah and mmdebstrap.
 * @returns the archive's absolute path
 */
export async function buildIngotImage(): Promise<string> {
  return await kept("image", await digestOfSources(), writeImage, ".tar");
}

async function writeImage(archive: string): Promise<void> {
  const base = await buildBase();
  const directory = await mkdtemp(join(tmpdir(), "ingot-buildah-"));
  try {
    const buildah = await buildahIn(directory);
    const downloads = join(cache, "npm");
    await mkdir(downloads, { recursive: true });
    await run(["chown", "65534:65534", downloads]);
    const container = (await buildah(["from", "scratch"])).trim();
    await buildah(["add", container, base, "/"]);
    const extraCa = process.env.NODE_EXTRA_CA_CERTS; // Where what inspects TLS signs with a CA of its own.
    if (extraCa) {
      await buildah(["copy", container, extraCa, "/etc/ssl/extra-ca.crt"]);
      await buildah(["config", "--env", "NODE_EXTRA_CA_CERTS=/etc/ssl/extra-ca.crt", container]);
    }
    await buildah(["config", "--env", "PATH=/usr/local/bin:/usr/bin", container]);
    await buildah(["commit", "--quiet", "--rm", container, "localhost/base"]);
    const digest = (await buildah(["images", "--format", "{{.Digest}}", "localhost/base"])).trim();
    const name = `${ingotImage.name}:${ingotImage.tag}`;
    await buildah([
      ...["build", "--build-arg", `BUILD_IMAGE=localhost/base@${digest}`, "--pull=never", "--identity-label=false"],
      ...["--volume", `${downloads}:/tmp/.npm`, "--tag", name, project],
    ]);
    await buildah(["push", "--quiet", name, `docker-archive:${archive}:${name}`]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** @returns what runs buildah with everything of its in `directory` */
async function buildahIn(directory: string): Promise<(args: readonly string[]) => Promise<string>> {
  const policy = join(directory, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] })); // It pulls nothing.
  const places = ["--root", join(directory, "root"), "--runroot", join(directory, "run")];
  return ([command = "", ...args]) => {
    const own = ["build", "commit", "from", "push"].includes(command) ? ["--signature-policy", policy] : [];
    const all = [...places, "--storage-driver=vfs", command, ...own, ...args];
    return run(["env", "BUILDAH_ISOLATION=chroot", `TMPDIR=${directory}`, "buildah", ...all], { timeoutMs: 30 * minutes });
  };
}

/** A Debian with Node, npm and what else the Dockerfile says that it needs, as a tar archive. */
async function buildBase(): Promise<string> {
  const recipe = JSON.stringify([debian, npmVersion, process.version, process.arch]);
  return await kept("base", createHash("sha256").update(recipe).digest("hex").slice(0, 12), writeBase, ".tar");
}

async function writeBase(archive: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "ingot-base-"));
  try {
    const source = `deb [signed-by=${keyring}] http://deb.debian.org/debian ${debian.release} main`;
    const again = ["--aptopt=Acquire::Retries 5"]; // A mirror may not answer once.
    const flags = ["--variant=extract", "--mode=root", "--format=tar", ...again, `--include=${debian.packages.join(",")}`];
    const added = join(directory, "usr/local");
    await mkdir(join(added, "bin"), { recursive: true });
    const install = ["install", "--global", "--prefix", added, "--ignore-scripts", "--no-audit", "--no-fund"];
    await Promise.all([
      run(["mmdebstrap", ...flags, debian.release, archive, source], { timeoutMs: 30 * minutes }),
      run(["npm", ...install, "--loglevel=error", `npm@${npmVersion}`], { timeoutMs: 30 * minutes }),
      copyFile(process.execPath, join(added, "bin/node")),
    ]);
    await run(["tar", "-C", directory, "-rf", archive, "usr"]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Digest of the sources of the image. @param more patterns of files, below the project's folder */
export async function digestOfSources(...more: readonly string[]): Promise<string> {
  const pattern = ["{Dockerfile,.dockerignore,*.json,build.ts,LICENSE,{release,pkg,controller,speaker,ctl}/**/*}", ...more];
  const hash = createHash("sha256").update(process.arch);
  for (const file of globSync(pattern, { cwd: project, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort())
    hash.update(`${file}\0`).update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}

if (import.meta.main) console.log(await buildIngotImage());
