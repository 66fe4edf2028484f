import { fields, list, parsed } from "#pkg/untrusted";
import type { KernelState } from "./state.ts";

// More than any life uses: a file that says otherwise was written by somebody else.
const maxTables = 1_000;
const maxAddresses = 200_000;

/** Facts about this life that the next life of this node's speaker needs, as text. */
export function recordText({ marks, tables, recorded }: Pick<KernelState, "marks" | "tables" | "recorded">): string {
  return `${JSON.stringify({ protocols: [...marks], tables: [...tables], addresses: [...recorded] })}\n`;
}

/**
 * Takes over the record of an earlier life. Any other text, and impossible entries, are ignored: at worst something stays in the kernel.
 * @returns whether there was anything
 */
export function readRecord(state: Pick<KernelState, "marks" | "tables" | "recorded">, text: string): boolean {
  const { protocols, tables, addresses } = fields(parsed(text));
  const isNumber = (max: number) => (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value > 0 && value <= max;
  for (const one of list(protocols).filter(isNumber(255)).slice(0, 255)) state.marks.add(one as number);
  for (const one of list(tables).filter(isNumber(0xffff_ffff)).slice(0, maxTables)) state.tables.add(one as number);
  const texts = list(addresses).filter((value) => typeof value === "string");
  for (const one of texts.slice(0, maxAddresses)) state.recorded.add(one);
  return state.marks.size > 0;
}
