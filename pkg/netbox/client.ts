import type { Address, AddressRange, Prefix } from "#pkg/net";
import { quote } from "#pkg/text";
import { octetsUpTo } from "#pkg/untrusted";
import { type NetboxRecord, pageOf, readAnswer, readRecord, sentence } from "./answers.ts";

/** Fields to write into a record; a field that is left out stays as it is. */
export interface RecordFields {
  readonly status?: "active" | "deprecated";
  /** At most 200 characters. */
  readonly description?: string;
  /** Slugs: NetBox has to know them. */
  readonly tags?: readonly string[];
  readonly tenant?: string;
  /** A value of NetBox's, such as `vip`; no slug. */
  readonly role?: string;
}

export interface NetboxClientOptions {
  /** URL of NetBox itself: `https://netbox.example.com`, or with a path; without `/api`. */
  readonly url: string;
  /** Version 1 (40 digits) or version 2 (begins with `nbt_`). */
  readonly token: string;
  /** Ends all requests. */
  readonly signal: AbortSignal;
  /** Whether this process may still change anything: once another leads, what it wants does not count. */
  readonly mayWrite: () => boolean;
}

/** An answer of NetBox is wrong, or missing. */
export class NetboxError extends Error {
  override readonly name = "NetboxError";
  /** NetBox may have done what was asked all the same: the answer was lost. */
  readonly isUnclear: boolean;
  /** It is about this record alone; others may fare better. */
  readonly isOfRecord: boolean;
  /** The token may do no such thing: it is about all requests of this kind alike. */
  readonly isForbidden: boolean;
  /** Seconds for which NetBox asks to be left alone. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    message: string,
    { isUnclear = false, isOfRecord = false, isForbidden = false, retryAfterSeconds }: Partial<NetboxError> = {},
  ) {
    super(message);
    this.isUnclear = isUnclear;
    this.isOfRecord = isOfRecord;
    this.isForbidden = isForbidden;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const requestMs = 10_000;
const maxAnswerBytes = 1 << 23;
const pageSize = 500;
const maxRecords = 100_000;
const maxCharacters = 1 << 26; // Limit of descriptions and tags: as many records have some 600 each.
// NetBox may be set up to give far fewer at once than it is asked for (MAX_PAGE_SIZE).
const maxPages = 1_000;
// A token in a header. Other text in a Secret, such as a second line, would stand in the error of `fetch`.
const visible = /^[\x21-\x7e]+$/;
const oneRecord = /^ipam\/ip-addresses\/\d+\/$/;

/** One NetBox. Follows no redirects: they would carry the token to another host, and turn a POST into a GET. */
export class NetboxClient {
  readonly #base: URL;
  readonly #options: NetboxClientOptions;

  constructor(options: NetboxClientOptions) {
    this.#options = options;
    this.#base = new URL(`${options.url.replace(/\/+$/, "")}/api/`);
  }

  /** All records of addresses in the prefix, made by anybody. @throws {NetboxError} */
  async list(prefix: Prefix): Promise<NetboxRecord[]> {
    const records = new Map<number, NetboxRecord>(); // by its number
    const seen = new Set<number | undefined>(); // Numbers of all records on pages so far, also of records that are no address.
    let [offset, longest, characters] = [0, 1, 0];
    for (let page = 0; page < maxPages && seen.size <= maxRecords && characters <= maxCharacters; page++) {
      const query = new URLSearchParams({ parent: `${prefix}`, limit: `${pageSize}`, offset: `${offset}` });
      const answer = await this.#json("GET", `ipam/ip-addresses/?${query}`, undefined, "list addresses");
      const found = pageOf(answer);
      if (found === undefined) throw new NetboxError("Cannot list addresses: the answer of NetBox has no list of results");
      // A page begins with the last record of the one before. Where it does not, records went meanwhile, those behind them moved up, and some
      // of these may be on neither page.
      const mayMiss = offset > 0 && longest > 1 && (found.ids.length === 0 || !seen.has(found.ids[0]));
      for (const id of found.ids) seen.add(id);
      for (const record of found.records) {
        records.set(record.id, record);
        characters += record.tags.reduce((sum, tag) => sum + tag.length, record.description.length);
      }
      if (found.isLast && !mayMiss) return [...records.values()];
      longest = Math.max(longest, found.ids.length);
      offset = mayMiss ? Math.max(0, offset - longest) : offset + Math.max(1, found.ids.length - 1);
    }
    throw new NetboxError(`Cannot list addresses: NetBox has not told all in ${prefix} after ${records.size} records`);
  }

  /**
   * Lets NetBox choose the next free address of a prefix or an IP range that it knows, and record it: both at once.
   * @returns undefined if no address is left
   * @throws {NetboxError}
   */
  async take(range: AddressRange, fields: RecordFields): Promise<NetboxRecord | undefined> {
    const parent = await this.#parentOf(range);
    const purpose = `take an address of ${describeRange(range)}`;
    const response = await this.#send("POST", `ipam/${parent}/available-ips/`, body(fields), purpose);
    if (response.status === 409) return undefined;
    return recordOf(await this.#read(response, purpose), purpose);
  }

  /** Whether `take` would find an address. @throws {NetboxError} */
  async hasFree(range: AddressRange): Promise<boolean> {
    const parent = await this.#parentOf(range);
    const purpose = `look for a free address of ${describeRange(range)}`;
    const found = await this.#json("GET", `ipam/${parent}/available-ips/?limit=1`, undefined, purpose);
    return !Array.isArray(found) || found.length > 0;
  }

  /** Records an address that was chosen here. @throws {NetboxError}, also where NetBox enforces that addresses are unique and has it */
  async create(address: Address, fields: RecordFields): Promise<NetboxRecord> {
    const length = address.bits;
    const purpose = `record ${address}`;
    const made = await this.#json("POST", "ipam/ip-addresses/", { address: `${address}/${length}`, ...body(fields) }, purpose);
    return recordOf(made, purpose);
  }

  /** The present record; undefined if it is gone. @throws {NetboxError} */
  async get({ id, address }: NetboxRecord): Promise<NetboxRecord | undefined> {
    const purpose = `read the record of ${address}`;
    const response = await this.#send("GET", `ipam/ip-addresses/${id}/`, undefined, purpose);
    if (response.status !== 404) return recordOf(await this.#read(response, purpose), purpose);
    await dismiss(response);
    return undefined;
  }

  /** @throws {NetboxError} */
  async update({ id, address }: NetboxRecord, fields: RecordFields): Promise<NetboxRecord> {
    const purpose = `change the record of ${address}`;
    return recordOf(await this.#json("PATCH", `ipam/ip-addresses/${id}/`, body(fields), purpose), purpose);
  }

  /** One that is gone already is no error. @throws {NetboxError} */
  async remove({ id, address }: NetboxRecord): Promise<void> {
    const purpose = `remove the record of ${address}`;
    const response = await this.#send("DELETE", `ipam/ip-addresses/${id}/`, undefined, purpose);
    await dismiss(response);
  }

  /** `prefixes/ID` or `ip-ranges/ID`. */
  async #parentOf(range: AddressRange): Promise<string> {
    const [prefix, ...others] = range.toPrefixes();
    const { first, last } = range;
    const purpose = `find ${describeRange(range)} in NetBox`;
    // A range is known by its ends; the mask that NetBox keeps with them is not compared.
    const places: readonly (readonly [kind: string, query: Record<string, string>])[] = [
      ...(prefix !== undefined && others.length === 0 ? [["prefixes", { prefix: `${prefix}` }] as const] : []),
      ["ip-ranges", { start_address: `${first}`, end_address: `${last}` }],
    ];
    for (const [kind, query] of places) {
      const answer = await this.#json("GET", `ipam/${kind}/?${new URLSearchParams(query)}`, undefined, purpose);
      const { results } = answer as { results?: unknown };
      const [found, another] = Array.isArray(results) ? results : [];
      const id = (found as { id?: unknown } | undefined)?.id;
      if (another !== undefined)
        throw new NetboxError(`Cannot ${purpose}: it has that more than once, in several VRFs`, { isOfRecord: true });
      if (typeof id === "number" && Number.isSafeInteger(id)) return `${kind}/${id}`;
    }
    const advice = "it has none; make a prefix or an IP range of exactly these addresses";
    throw new NetboxError(`Cannot ${purpose}: ${advice}`, { isOfRecord: true });
  }

  async #json(method: string, path: string, fields: object | undefined, purpose: string): Promise<object> {
    return this.#read(await this.#send(method, path, fields, purpose), purpose);
  }

  /** @returns a success, or one of the statuses that mean something to a caller */
  async #send(method: string, path: string, fields: object | undefined, purpose: string): Promise<Response> {
    const { token, signal, mayWrite } = this.#options;
    if (!visible.test(token))
      throw new NetboxError(
        `Cannot ${purpose}: the token in the Secret is empty, or has a line break or other characters that no token has`,
      );
    if (method !== "GET" && !mayWrite()) throw new NetboxError(`Cannot ${purpose}: another controller may lead by now`);
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), {
        method,
        redirect: "manual",
        signal: AbortSignal.any([AbortSignal.timeout(requestMs), signal]),
        headers: {
          accept: "application/json",
          authorization: `${token.startsWith("nbt_") ? "Bearer" : "Token"} ${token}`,
          ...(fields === undefined ? {} : { "content-type": "application/json" }),
        },
        body: fields === undefined ? null : JSON.stringify(fields),
      });
    } catch (error) {
      throw new NetboxError(`Cannot ${purpose}: NetBox does not answer: ${reason(error)}`, { isUnclear: method !== "GET" });
    }
    const { status } = response;
    if (status >= 200 && status < 300) return response;
    if (status === 409 && path.endsWith("/available-ips/")) return response;
    if (status === 404 && method !== "PATCH" && oneRecord.test(path)) return response;
    throw await this.#refusal(response, method, purpose);
  }

  async #refusal(response: Response, method: string, purpose: string): Promise<NetboxError> {
    const { status } = response;
    const isUnclear = method !== "GET" && status >= 500;
    if (status >= 300 && status < 400) {
      await dismiss(response);
      const where = quote(this.#withoutToken(response.headers.get("location") ?? "nowhere"));
      return new NetboxError(`Cannot ${purpose}: NetBox is not at this URL, which redirects to ${where}; configure that one`);
    }
    const said = this.#withoutToken(await text(response).catch(() => ""));
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    const hint = status === 401 || status === 403 ? "; look at the token, and at what its user may do" : "";
    return new NetboxError(`Cannot ${purpose}: NetBox answers ${status}: ${sentence(said)}${hint}`, {
      isUnclear,
      isOfRecord: status === 400,
      isForbidden: method !== "GET" && status === 403,
      retryAfterSeconds: Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 300) : undefined,
    });
  }

  async #read(response: Response, purpose: string): Promise<object> {
    let said: string;
    try {
      said = await text(response);
    } catch (error) {
      if (error instanceof NetboxError) throw error;
      throw new NetboxError(`Cannot ${purpose}: the answer of NetBox breaks off: ${reason(error)}`, { isUnclear: true });
    }
    const value = readAnswer(said);
    if (value !== undefined) return value;
    const type = this.#withoutToken(response.headers.get("content-type") ?? "no content type");
    throw new NetboxError(`Cannot ${purpose}: what answers is no NetBox: ${quote(this.#withoutToken(said))} (${quote(type)})`, {
      isUnclear: true,
    });
  }

  /** Errors stand in logs and Events: what answers may repeat what it was sent. */
  #withoutToken(said: string): string {
    return said.replaceAll(this.#options.token, "…");
  }
}

function body({ status, description, tags, tenant, role }: RecordFields): object {
  return {
    ...(status === undefined ? {} : { status }),
    ...(description === undefined ? {} : { description }),
    ...(tags === undefined ? {} : { tags: tags.map((slug) => ({ slug })) }),
    ...(tenant === undefined ? {} : { tenant: { slug: tenant } }),
    ...(role === undefined ? {} : { role }),
  };
}

async function text(response: Response): Promise<string> {
  if (response.body === null) return "";
  const octets = await octetsUpTo(response.body, maxAnswerBytes);
  if (octets !== undefined) return new TextDecoder().decode(octets);
  throw new NetboxError(`NetBox answers with more than ${maxAnswerBytes >> 20} MiB`, { isUnclear: true });
}

function recordOf(value: unknown, purpose: string): NetboxRecord {
  const record = readRecord(Array.isArray(value) ? value[0] : value);
  if (record === undefined) throw new NetboxError(`Cannot ${purpose}: NetBox answers with no IP address`, { isUnclear: true });
  return record;
}

function describeRange(range: AddressRange): string {
  const [prefix, ...others] = range.toPrefixes();
  return prefix !== undefined && others.length === 0 ? `prefix ${prefix}` : `IP range ${range.first}-${range.last}`;
}

function reason(error: unknown): string {
  const { name, cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `not within ${requestMs / 1000} s`;
  return cause?.code ?? cause?.message ?? message;
}

/** Nobody needs the rest of the answer, which may have broken off. */
async function dismiss(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}
