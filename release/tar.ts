import { createReadStream, createWriteStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Pack, pack } from "tar-stream";

/** Writes everything below `directory` as a compressed archive; see `tar`. */
export async function writeTarGz(file: string, directory: string): Promise<void> {
  await pipeline(tar(directory), createGzip(), createWriteStream(file));
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
