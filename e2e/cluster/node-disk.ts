import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "#e2e/lab";
import { architectures } from "../../release/debian.ts";
import { nodeArchitecture } from "../../release/modules.ts";
import { writeArchive } from "../../release/oci.ts";
import { patience, run } from "./command.ts";
import { buildIngotImage } from "./ingot-image.ts";
import { kept } from "./kept.ts";
import { containerdConfig, type NodeOptions, pauseImage, socketOf } from "./node-files.ts";
import { pauseProgram } from "./pause-program.ts";
import type { Sandbox } from "./sandbox.ts";

// containerd never changes a file that it has written, but for its databases: the others are shared, where both are on one disk.
const copy = `
cp -al "$0" "$1" 2> /dev/null || { rm -rf "$1"; cp -a "$0" "$1"; }
find "$1" -name '*.db' -exec sh -ec 'cp "$0" "$0.own"; mv "$0.own" "$0"' {} ';'
`;

/** Copies the files of a containerd. @param root a folder that does not exist yet */
export async function copyDisk(disk: string, root: string): Promise<void> {
  await run(["sh", "-ec", copy, disk, root]);
}

/**
 * The files of a containerd that has Ingot's image and that of every Pod. They are kept in `.cache/` for as long as the images stay the same: a
 * run of all tests starts some thirty nodes, and loading the images takes each of them seconds of a processor and writes 600 MB.
 * @returns the folder's absolute path
 */
export async function nodeDisk(sandbox: Sandbox, snapshotter: NodeOptions["snapshotter"]): Promise<string> {
  const image = await buildIngotImage();
  const pause = pauseProgram(process.arch);
  const digest = createHash("sha256")
    .update(JSON.stringify([image, [...pause], snapshotter]))
    .digest("hex")
    .slice(0, 12);
  return await kept("disk", digest, async (disk) => {
    const directory = join(sandbox.directory, "disk");
    await mkdir(directory);
    await writeFile(join(directory, "containerd.toml"), containerdConfig(directory, snapshotter));
    const containerd = sandbox.daemon(undefined, "disk", ["containerd", "-c", join(directory, "containerd.toml")]);
    const ctr = (...args: readonly string[]) => sandbox.run(undefined, ["ctr", "--address", socketOf(directory), ...args]);
    await waitFor("containerd", () => ctr("version"), patience);
    for (const archive of [await writePauseImage(directory, pause), image])
      await ctr("--namespace", "k8s.io", "images", "import", "--snapshotter", snapshotter, archive);
    await containerd.stop();
    await copyDisk(join(directory, "root"), disk);
  });
}

async function writePauseImage(directory: string, program: Uint8Array): Promise<string> {
  const root = join(directory, "pause");
  await mkdir(root);
  await writeFile(join(root, "pause"), program, { mode: 0o755 });
  const archive = join(directory, "pause.tar");
  const architecture = architectures.find((each) => nodeArchitecture(each) === process.arch) ?? "amd64";
  const platform = { architecture, layers: [root], config: { Entrypoint: ["/pause"] } };
  await writeArchive(archive, { name: pauseImage, platforms: [platform], createdSeconds: 0, compression: "none" });
  return archive;
}
