import { readFile, readlinkSync } from "node:fs";
import { promisify } from "node:util";
import { library } from "./libc.ts";

const dontNeed = 4; // MADV_DONTNEED

/**
 * Gives freed memory of the C library back. By itself the library gives back only the end of a heap, so that one small living block keeps
 * all freed memory below it. Takes a millisecond for some 15 MB, during which no thread gets memory from that heap.
 * @returns whether that was done; with a C library that cannot, such as musl, nothing changes
 */
export function releaseFreedMemory(): boolean {
  try {
    return library.func("int malloc_trim(size_t pad)")(0) === 1;
  } catch {
    return false;
  }
}

/**
 * Gives back the pages of Node's own program, of which the start needed most: some 25 MB of 55. They stay in the kernel's cache of files,
 * from where those that are used again come back 64 KiB at a time, within a microsecond or two.
 * @returns whether that was done; without /proc, or where the kernel refuses, nothing changes
 */
export async function releaseProgramPages(): Promise<boolean> {
  try {
    const mappings = unchangedMappings(await promisify(readFile)("/proc/self/smaps", "utf8"), readlinkSync("/proc/self/exe"));
    const advise = library.func("int madvise(void *start, size_t length, int advice)");
    return mappings.map(({ start, length }) => advise(start, length, dontNeed)).includes(0);
  } catch {
    return false;
  }
}

/**
 * The mappings of a file that hold nothing but what the file does, in the text of `/proc/PID/smaps`: private ones that may not be written
 * to, without a page, in memory or swapped out, that was written to before, as the dynamic linker and debuggers do; that page would be lost.
 * To be asked for the program alone. A library may be on its way in by another thread, and its mapping of code become one of data meanwhile.
 */
export function unchangedMappings(smaps: string, file: string): readonly { readonly start: bigint; readonly length: number }[] {
  const mappings: { start: bigint; length: number }[] = [];
  for (const text of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, from, to, name] = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ \d+ +(.*)\n/.exec(text) ?? [];
    if (name !== file || !/^Anonymous: +0 kB$/m.test(text) || !/^Swap: +0 kB$/m.test(text)) continue;
    const start = BigInt(`0x${from}`);
    mappings.push({ start, length: Number(BigInt(`0x${to}`) - start) });
  }
  return mappings;
}
