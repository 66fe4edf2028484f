import { cFunction } from "./c-function.ts";

/**
 * Gives back what the C library keeps of memory that was freed: it gives back by itself only what lies at the end of a heap, so that one small
 * block that lives on keeps all that was freed below it. Takes a millisecond for some 15 MB, during which no thread gets memory from that heap.
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
