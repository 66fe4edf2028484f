import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Netbox } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawNetbox, RawPool } from "../shape/raw.ts";
import { type AddressEntry, parseAddresses } from "./addresses.ts";
import { readSecretKey } from "./secret-key.ts";

const slug = /^[-a-zA-Z0-9_]{1,100}$/;

/** Reads where else the addresses of a pool are kept. */
export function readNetbox(pool: RawPool, fields: RawNetbox, at: Place, entries: readonly AddressEntry[]): Netbox {
  const mode = fields.mode ?? "record";
  if (mode === "allocate") refuseBeside(pool, at.in("mode"));
  const tags = (fields.tags ?? []).flatMap((tag, index) => readSlug(tag, at.in("tags", index)) ?? []);
  return {
    url: readUrl(fields.url ?? "", at.in("url")),
    token: readSecretKey(fields["token-secret"] ?? {}, "token", at.in("token-secret")),
    mode,
    ranges: readPlaces(fields, mode, at, entries),
    tags: [...new Set(tags)],
    tenant: readSlug(fields.tenant, at.in("tenant")),
    role: fields.role,
    onRelease: fields["on-release"] ?? "delete",
  };
}

/** Refuses fields that would keep addresses chosen by NetBox from use. */
function refuseBeside(pool: RawPool, at: Place): void {
  if (pool["avoid-buggy-ips"] === true)
    at.error("not with avoid-buggy-ips, of which NetBox knows nothing: record in NetBox that these addresses are in use");
  if ((pool.reserved ?? []).length > 0)
    at.error("not with reserved, of which NetBox knows nothing: record in NetBox what is reserved");
}

function readUrl(text: string, at: Place): string {
  const url = URL.parse(text);
  if (text.includes("@")) at.error("must not hold a password: the token is in a Secret");
  else if (url === null || !/^https?:$/.test(url.protocol))
    at.error(`must be a URL such as "https://netbox.example.com", but is ${quote(text)}`);
  else if (url.search !== "" || url.hash !== "") at.error(`must end before "?" and "#", but is ${quote(text)}`);
  else if (/\/api\/?$/.test(url.pathname)) at.error('is where NetBox is: leave out "/api"');
  else if (url.protocol === "http:") at.warn("the token can be read by whoever sees the packets: use https");
  return text;
}

function readSlug(text: string | undefined, at: Place): string | undefined {
  if (text === undefined || slug.test(text)) return text;
  at.error(`no slug of NetBox is ${quote(text)}: at most 100 letters, digits, "-" and "_"; it stands in the URL of its page`);
  return undefined;
}

function readPlaces(
  { prefix }: RawNetbox,
  mode: Netbox["mode"],
  at: Place,
  entries: readonly AddressEntry[],
): readonly AddressRange[] {
  const all = entries.map(({ range }) => range);
  if (prefix === undefined) return all;
  const here = at.in("prefix");
  if (mode === "record") here.errorAtKey('only with "mode: allocate": otherwise NetBox chooses nothing');
  const read = parseAddresses(prefix);
  if (typeof read === "string") {
    here.error(read);
    return all;
  }
  if (!all.some((range) => range.contains(read.first) && range.contains(read.last)))
    here.error(`${quote(prefix)} is not in one entry of this pool's addresses`);
  return [read];
}
