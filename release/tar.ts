import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Pack, pack } from "tar-stream";

/**
 * Writes a compressed archive; see `tar`.
 * @param file where to; also the directory for temporary files
 * @param fill puts what it is to hold into a directory
 */
export async function writeTarGz(file: string, fill: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(`${file}.`);
  try {
    await fill(directory);
    await pipeline(tar(directory), createGzip(), createWriteStream(file));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Everything below `directory` by name, of 1970, owned by root, who alone may write it; all may read it. So equal files give equal octets. */
export function tar(directory: string): Pack {
  const archive = pack();
  addTree(archive, directory, "").then(
    () => archive.finalize(),
    (error) => archive.destroy(error),
  );
  return archive;
}

async function addTree(archive: Pack, directory: string, below: string): Promise<void> {
  for (const entry of (await readdir(directory)).sort()) {
    const path = join(directory, entry);
    const stat = await lstat(path);
    const mode = stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644;
    const header = { name: below + entry, mode, mtime: new Date(0), uid: 0, gid: 0 };
    if (stat.isDirectory()) {
      archive.entry({ ...header, type: "directory" });
      await addTree(archive, path, `${header.name}/`);
    } else if (stat.isSymbolicLink()) {
      archive.entry({ ...header, type: "symlink", mode: 0o777, linkname: await readlink(path) });
    } else if (stat.isFile()) {
      await pipeline(createReadStream(path), archive.entry({ ...header, size: stat.size }));
    } else throw new Error(`Cannot archive ${path}: it is no file, directory or link`);
  }
}
