/**
 * Gives back what the C library keeps of memory that was freed: it gives back by itself only what lies at the end of a heap, so that one small
 * block that lives on keeps all that was freed below it. Takes a millisecond for some 15 MB, during which no thread gets memory from that heap.
 * @returns whether that was done; with a C library that cannot, such as musl, nothing changes
 */
export async function releaseFreedMemory(): Promise<boolean> {
  try {
    // Only now: the controller has no other use for the library, and need not wait for it when it starts.
    const { default: koffi } = await import("koffi");
    return koffi.load(null).func("int malloc_trim(size_t pad)")(0) === 1;
  } catch {
    return false;
  }
}
