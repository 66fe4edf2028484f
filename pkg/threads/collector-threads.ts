import { readdirSync, readFileSync } from "node:fs";
import { becomeUrgent } from "#pkg/linux";

/**
 * Gives the threads with which V8 collects garbage the largest share of the machine's time. A thread that is real-time or urgent waits for them
 * when it collects, and on a machine without time to spare that would take as long as they wait for theirs.
 */
export function hurryGarbageCollection(): void {
  try {
    for (const thread of readdirSync("/proc/self/task"))
      if (readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim() === "V8Worker") becomeUrgent(Number(thread));
  } catch {
    // Without /proc they stay as they are.
  }
}
