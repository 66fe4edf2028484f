import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { UsageError } from "./command.ts";

/**
 * Writes a file that nobody else may read, with its folders: also one that was there before, and could be read.
 * @param isNew it must not be there yet
 * @returns whether it is written: false where it is there and must not be
 * @throws {UsageError} when that fails
 */
export async function writePrivateFile(path: string, content: string | Uint8Array, isNew = false): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await using file = await open(path, isNew ? "wx" : "w", 0o600);
    // A device keeps its mode: it is everybody's.
    if ((await file.stat()).isFile()) await file.chmod(0o600);
    await file.writeFile(content);
    return true;
  } catch (error) {
    if (isNew && (error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new UsageError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
