import { type Address, parseAddress } from "#pkg/net";
import { maskControls, quote } from "#pkg/text";
import { fields, list, parsed, text } from "#pkg/untrusted";

/** One IP address as NetBox has it. */
export interface NetboxRecord {
  readonly id: number;
  readonly address: Address;
  readonly status: string;
  readonly description: string;
  /** Slugs. */
  readonly tags: readonly string[];
}

/** One page of a list. */
export interface Page {
  readonly records: readonly NetboxRecord[];
  /** The numbers of all records on the page, also of records that are left out; undefined for a record without a number. */
  readonly ids: readonly (number | undefined)[];
  readonly isLast: boolean;
}

/** A list or an object that is written as JSON; undefined for anything else. */
export function readAnswer(said: string): object | undefined {
  const value = parsed(said);
  return typeof value === "object" && value !== null ? value : undefined;
}

/**
 * One page of a list. Records of which nobody can tell the address, such as one that was put in by hand, are left out.
 * @returns undefined for an answer that is no page
 */
export function pageOf(answer: object): Page | undefined {
  const { results, next } = fields(answer);
  if (!Array.isArray(results)) return undefined;
  const records = results.map(readRecord).filter((record) => record !== undefined);
  const ids = results.map((each) => {
    const { id } = fields(each);
    return typeof id === "number" ? id : undefined;
  });
  return { records, ids, isLast: typeof next !== "string" || results.length === 0 };
}

/** @returns undefined for a value that is no record of an address */
export function readRecord(value: unknown): NetboxRecord | undefined {
  const { id, address: at, status, description, tags } = fields(value);
  const address = parseAddress(text(at).split("/")[0] ?? "");
  if (address === undefined || typeof id !== "number" || !Number.isSafeInteger(id)) return undefined;
  const slugs = list(tags).map((tag) => fields(tag).slug);
  const state = typeof status === "object" ? fields(status).value : status;
  return {
    id,
    address,
    status: text(state),
    description: text(description),
    tags: slugs.filter((slug) => typeof slug === "string"),
  };
}

/** What NetBox says in an answer that refuses: `{"detail": …}`, or a list of texts for each field. */
export function sentence(said: string): string {
  try {
    const body = JSON.parse(said);
    const detail = typeof body?.detail === "string" ? body.detail : JSON.stringify(body);
    return maskControls(detail).slice(0, 300);
  } catch {
    return said === "" ? "nothing" : `no JSON, but ${quote(said)}`;
  }
}
