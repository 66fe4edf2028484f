import { cFunction } from "./c-function.ts";

/**
 * Gives freed memory of the C library back. By itself the library gives back only the end of a heap, so that one small living block keeps
 * all freed memory below it. Takes a millisecond for some 15 MB, during which no thread gets memory from that heap.
 * @returns whether that was done; with a C library that cannot, such as musl, nothing changes
 */
export async function releaseFreedMemory(): Promise<boolean> {
  try {
    const trim = await cFunction("int malloc_trim(size_t pad)");
    return trim(0) === 1;
  } catch {
    return false;
  }
}
