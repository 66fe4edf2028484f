import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build } from "../../build.ts";
import { run } from "./command.ts";
import { writeImageArchive } from "./image.ts";

/**
 * Builds the project and writes its image as a docker archive, laid out as the Dockerfile's, with no container engine and no
 * registry: the Node that runs this, the shared libraries it is linked with here, and the bundles.
 */
export async function writeIngotImage(file: string, tag: string): Promise<void> {
  const root = await mkdtemp(`${file}.root.`);
  try {
    const bundles = join(root, "ingot");
    await build(bundles);
    const addon = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
    const libraries = await Promise.all([process.execPath, join(bundles, "node_modules", addon)].map(librariesOf));
    await copyInto(root, process.execPath, "/usr/local/bin/node");
    for (const library of new Set(libraries.flat())) await copyInto(root, library, library);
    await writeImageArchive(file, { tag, root, entrypoint: ["node", "--enable-source-maps"], user: "65534:65534" });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Absolute paths, the loader among them, as `ldd` prints them: `libc.so.6 => /lib/…/libc.so.6 (0x…)` or `/lib64/ld-… (0x…)`. */
async function librariesOf(binary: string): Promise<string[]> {
  const lines = await run(["ldd", binary]);
  return [...lines.matchAll(/(?:=>|^)\s+(\/\S+) \(/gm)].map((match) => String(match[1]));
}

async function copyInto(root: string, file: string, path: string): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true });
  await copyFile(file, join(root, path));
}
