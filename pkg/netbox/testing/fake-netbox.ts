import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Address, type AddressRange, parseAddress, parsePrefix, parseRange } from "#pkg/net";

/** An address as NetBox prints it, as far as anybody here reads it. */
export interface StoredAddress {
  readonly id: number;
  readonly address: string;
  readonly status: { readonly value: string };
  readonly description: string;
  readonly tags: readonly { readonly slug: string }[];
  readonly tenant: { readonly slug: string } | null;
  readonly role: { readonly value: string } | null;
  readonly dns_name: string;
}

/** Fault of the next request. With `silence` NetBox does nothing and says nothing; with `late` it does it, and says so too late. */
export type Fault =
  | "noAnswer"
  | "lostAnswer"
  | "error"
  | "tooMany"
  | "notJson"
  | "redirect"
  | "halfAnAnswer"
  | "silence"
  | "late";

type Body = Readonly<Record<string, unknown>>;

/**
 * An HTTP server that answers as NetBox 4 documents for IP addresses, prefixes and IP ranges: tokens of both versions, pages, `available-ips`, and
 * the check for duplicates, from which roles such as `vip` are exempt. It has no VRFs, no constraints of permissions, and no custom fields; of tags and
 * tenants it only knows which there are.
 */
export class FakeNetbox implements AsyncDisposable {
  readonly url: string;
  /** Requests so far: `POST /api/ipam/ip-addresses/`. */
  readonly requests: string[] = [];
  readonly addresses = new Map<number, StoredAddress>(); // by its number
  readonly faults: (Fault | undefined)[] = [];
  pageSize = 50;
  token = "0123456789abcdef0123456789abcdef01234567";
  enforceUnique = true;
  /** A method that the token's user has no permission for. */
  forbidden: string | undefined;
  /** Actions of others in NetBox before a request is answered, or a promise of them where that takes time. */
  beforeAnswer: (() => void | Promise<void>) | undefined;
  readonly #tags = new Set(["k8s", "cluster-a"]);
  readonly #tenants = new Set(["k8s-prod"]);
  readonly #parents: readonly { readonly kind: "prefixes" | "ip-ranges"; readonly range: AddressRange }[];
  readonly #server: Server | undefined;
  #nextId = 1;

  private constructor(server: Server | undefined, parents: readonly string[]) {
    this.#server = server;
    this.url = server === undefined ? "http://netbox.invalid" : `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#parents = parents.map((text) => ({ kind: text.includes("/") ? "prefixes" : "ip-ranges", range: rangeOf(text) }));
    server?.on("request", (request, response) => void this.#answer(request, response));
  }

  /** One without a server, for `fetch` to ask. */
  static inMemory(...parents: readonly string[]): FakeNetbox {
    return new FakeNetbox(undefined, parents);
  }

  /** In place of the global `fetch`. */
  readonly fetch = async (url: string | URL | Request, { method = "GET", body }: RequestInit = {}): Promise<Response> => {
    const asked = new URL(`${url}`);
    this.requests.push(`${method} ${asked.pathname}`);
    await this.beforeAnswer?.();
    const fault = this.faults.shift();
    if (fault === "noAnswer") throw new TypeError("fetch failed");
    if (fault === "silence") throw new DOMException("", "TimeoutError");
    const refusal = refusalOf(fault);
    if (refusal !== undefined) return new Response(refusal.body, refusal);
    const { status, body: said } = this.#handle(method, asked, typeof body === "string" ? JSON.parse(body) : {});
    if (fault === "lostAnswer") throw new TypeError("fetch failed");
    if (fault === "late") throw new DOMException("", "TimeoutError");
    const brokenOff = () => new ReadableStream({ pull: (stream) => stream.error(new TypeError("terminated")) });
    const text = fault === "halfAnAnswer" ? brokenOff() : JSON.stringify(said);
    return new Response(status === 204 ? null : text, { status });
  };

  /** @param parents prefixes and ranges that it knows, as text */
  static async start(...parents: readonly string[]): Promise<FakeNetbox> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FakeNetbox(server, parents);
  }

  /** A record that somebody else made. */
  add(address: string, fields: Partial<StoredAddress> = {}): StoredAddress {
    const blank = { status: { value: "active" }, description: "", tags: [], tenant: null, role: null, dns_name: "" };
    const stored = { ...blank, ...fields, id: this.#nextId++, address };
    this.addresses.set(stored.id, stored);
    return stored;
  }

  /** `address: description`, in the order of their numbers. */
  get lines(): string[] {
    return Array.from(this.addresses.values(), ({ address, description }) => `${address}: ${description}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server === undefined) return;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", headers } = request;
    const url = new URL(request.url ?? "", this.url);
    this.requests.push(`${method} ${url.pathname}`);
    const octets: Buffer[] = [];
    for await (const chunk of request) octets.push(chunk);
    const text = Buffer.concat(octets).toString();
    await this.beforeAnswer?.();
    const fault = this.faults.shift();
    if (fault === "silence") return;
    if (fault === "noAnswer") return void request.socket.destroy();
    const refusal = refusalOf(fault);
    if (refusal !== undefined) return void response.writeHead(refusal.status, refusal.headers).end(refusal.body);
    const scheme = this.token.startsWith("nbt_") ? "Bearer" : "Token";
    if (headers.authorization !== `${scheme} ${this.token}`) return send(response, 403, { detail: "Invalid token" });
    if (method === this.forbidden) return send(response, 403, { detail: "You do not have permission to perform this action." });
    const { status, body } = this.#handle(method, url, text === "" ? {} : JSON.parse(text));
    if (fault === "late") return;
    if (fault === "lostAnswer") return void request.socket.destroy();
    if (fault === "halfAnAnswer") {
      const answer = JSON.stringify(body);
      response.writeHead(status, { "content-length": answer.length });
      response.write(answer.slice(0, answer.length / 2), () => request.socket.destroy());
      return;
    }
    send(response, status, body);
  }

  #handle(method: string, { pathname, searchParams }: URL, body: Body): { readonly status: number; readonly body?: unknown } {
    const [, , , kind = "", id, action] = pathname.split("/");
    if (kind === "ip-addresses" && id === "") {
      if (method === "POST") return this.#create(String(body.address), body);
      const parent = parsePrefix(searchParams.get("parent") ?? "");
      const all = [...this.addresses.values()].filter(
        ({ address }) => typeof parent === "object" && parent.contains(ipOf(address)),
      );
      return { status: 200, body: this.#page(all, searchParams) };
    }
    if (kind === "ip-addresses") {
      const found = this.addresses.get(Number(id));
      if (found === undefined) return { status: 404, body: { detail: "No IPAddress matches the given query." } };
      if (method === "GET") return { status: 200, body: found };
      if (method === "DELETE") return this.addresses.delete(found.id) ? { status: 204 } : { status: 404 };
      return this.#store({ ...found, ...fieldsOf(body) }, body, 200);
    }
    if (action === "available-ips") {
      const free = this.#freeIn(this.#parents[Number(id)]?.range);
      if (method === "GET") return { status: 200, body: free === undefined ? [] : [{ address: free }] };
      if (free !== undefined) return this.#create(free, body);
      return { status: 409, body: { detail: "An insufficient number of IP addresses are available" } };
    }
    const [wanted, last] = [searchParams.get("prefix") ?? searchParams.get("start_address"), searchParams.get("end_address")];
    const found = this.#parents.flatMap((parent, number) => {
      const is = parent.kind === "prefixes" ? `${parent.range.toPrefixes()[0]}` : `${parent.range.first}`;
      const fits = parent.kind === kind && is === wanted && (last === null || last === `${parent.range.last}`);
      return fits ? [{ id: number }] : [];
    });
    return { status: 200, body: this.#page(found, searchParams) };
  }

  #page(all: readonly unknown[], query: URLSearchParams): object {
    const offset = Number(query.get("offset") ?? 0);
    const results = all.slice(offset, offset + Math.min(this.pageSize, Number(query.get("limit") ?? this.pageSize)));
    const end = offset + results.length;
    return { count: all.length, next: end < all.length ? `${this.url}/?offset=${end}` : null, previous: null, results };
  }

  #freeIn(range: AddressRange | undefined): string | undefined {
    const used = new Set(Array.from(this.addresses.values(), ({ address }) => `${ipOf(address)}`));
    for (const prefix of range?.toPrefixes() ?? [])
      for (let value = prefix.first.value; value <= prefix.last.value; value++) {
        const address = new Address(range?.family ?? "IPv4", value);
        if (!used.has(`${address}`)) return `${address}/24`;
      }
    return undefined;
  }

  #create(address: string, body: Body) {
    const isShared = ["vip", "anycast"].includes(String(body.role));
    const duplicate = [...this.addresses.values()].find((other) => `${ipOf(other.address)}` === `${ipOf(address)}`);
    if (duplicate !== undefined && this.enforceUnique && !isShared)
      return { status: 400, body: { address: [`Duplicate IP address found in global table: ${duplicate.address}`] } };
    const blank = { status: { value: "active" }, description: "", tags: [], tenant: null, role: null, dns_name: "" };
    return this.#store({ ...blank, ...fieldsOf(body), id: this.#nextId, address }, body, 201);
  }

  #store(stored: StoredAddress, body: Body, status: number) {
    if (stored.description.length > 200)
      return { status: 400, body: { description: ["Ensure this field has no more than 200 characters."] } };
    for (const { slug } of stored.tags)
      if (!this.#tags.has(slug))
        return { status: 400, body: { tags: [`Related object not found using the provided attributes: {'slug': '${slug}'}`] } };
    const { slug } = (body.tenant ?? {}) as { slug?: string };
    if (slug !== undefined && !this.#tenants.has(slug))
      return { status: 400, body: { tenant: [`Related object not found using the provided attributes: {'slug': '${slug}'}`] } };
    this.addresses.set(stored.id, stored);
    if (stored.id === this.#nextId) this.#nextId++;
    return { status, body: stored };
  }
}

/** The answer of something in its place; undefined if it answers itself. */
function refusalOf(fault: Fault | undefined): { status: number; headers: Record<string, string>; body: string } | undefined {
  const json = { "content-type": "application/json" };
  if (fault === "redirect") return { status: 301, headers: { location: "https://elsewhere.example.com/" }, body: "" };
  if (fault === "error")
    return { status: 500, headers: json, body: '{"error":"database is locked","exception":"OperationalError"}' };
  if (fault === "tooMany") return { status: 429, headers: { "retry-after": "7" }, body: '{"detail":"Request was throttled."}' };
  if (fault === "notJson") return { status: 200, headers: { "content-type": "text/html" }, body: "<html>log in</html>" };
  return undefined;
}

function fieldsOf({ status, role, ...body }: Body): Partial<StoredAddress> {
  const { address: _address, ...fields } = body as Partial<StoredAddress>;
  return {
    ...fields,
    ...(status === undefined ? {} : { status: { value: String(status) } }),
    ...(role === undefined ? {} : { role: { value: String(role) } }),
  };
}

function ipOf(text: string): Address {
  const address = parseAddress(text.split("/")[0] ?? "");
  if (address === undefined) throw new Error(`Cannot store ${text}`);
  return address;
}

function rangeOf(text: string): AddressRange {
  const range = text.includes("/") ? undefined : parseRange(text);
  if (typeof range === "object") return range;
  const prefix = parsePrefix(text);
  if (typeof prefix !== "object") throw new Error(`Cannot know ${text}`);
  const whole = parseRange(`${prefix.first}-${prefix.last}`);
  if (typeof whole !== "object") throw new Error(`Cannot know ${text}`);
  return whole;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (status === 204) return void response.writeHead(204).end();
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
