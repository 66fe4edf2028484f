import { libc } from "./libc.ts";

/** The index of the interface that has this name now; undefined when there is none. */
export function interfaceIndexOf(name: string): number | undefined {
  return libc.interfaceIndex(name) || undefined;
}
