import { Readable } from "node:stream";
import { extract } from "tar-stream";

export interface TarFile {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Target of a link; empty for other entries. */
  readonly linkname: string;
  readonly data: Buffer;
}

/** Entries of a tar archive, by name, without a slash at the end or `./` at the beginning. */
export async function readTar(archive: Uint8Array): Promise<Map<string, TarFile>> {
  const files = new Map<string, TarFile>();
  const parser = extract();
  Readable.from([archive]).pipe(parser);
  for await (const entry of parser) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry) chunks.push(chunk as Uint8Array);
    const { name, type, mode = 0, uid = 0, gid = 0, linkname } = entry.header;
    const path = name.replace(/^\.?\//, "").replace(/\/$/, "");
    files.set(path, { type: type ?? "file", mode, uid, gid, linkname: linkname ?? "", data: Buffer.concat(chunks) });
  }
  return files;
}
