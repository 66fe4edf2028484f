import type { AddressRange } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Netbox } from "../config.ts";
import type { Path, Problems } from "../problems.ts";
import type { RawNetbox, RawPool } from "../shape/raw.ts";
import { type AddressEntry, parseAddresses } from "./addresses.ts";
import { readSecretKey } from "./secret-key.ts";

const slug = /^[-a-zA-Z0-9_]{1,100}$/;

/** Reads where else the addresses of a pool are kept. */
export function readNetbox(
  pool: RawPool,
  fields: RawNetbox,
  path: Path,
  entries: readonly AddressEntry[],
  problems: Problems,
): Netbox {
  const mode = fields.mode ?? "record";
  if (mode === "allocate") refuseBeside(pool, [...path, "mode"], problems);
  const tags = (fields.tags ?? []).flatMap((tag, index) => readSlug(tag, [...path, "tags", index], problems) ?? []);
  return {
    url: readUrl(fields.url ?? "", [...path, "url"], problems),
    token: readSecretKey(fields["token-secret"] ?? {}, "token", [...path, "token-secret"], problems),
    mode,
    ranges: readPlaces(fields, mode, path, entries, problems),
    tags: [...new Set(tags)],
    tenant: readSlug(fields.tenant, [...path, "tenant"], problems),
    role: fields.role,
    onRelease: fields["on-release"] ?? "delete",
  };
}

/** Refuses fields that would keep addresses chosen by NetBox from use. */
function refuseBeside(pool: RawPool, path: Path, problems: Problems): void {
  if (pool["avoid-buggy-ips"] === true)
    problems.error(
      path,
      "not with avoid-buggy-ips, of which NetBox knows nothing: record in NetBox that these addresses are in use",
    );
  if ((pool.reserved ?? []).length > 0)
    problems.error(path, "not with reserved, of which NetBox knows nothing: record in NetBox what is reserved");
}

function readUrl(text: string, path: Path, problems: Problems): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    problems.error(path, `must be a URL such as "https://netbox.example.com", but is ${quote(text)}`);
  else if (url.username !== "" || url.password !== "") problems.error(path, "must not hold a password: the token is in a Secret");
  else if (url.search !== "" || url.hash !== "") problems.error(path, `must end before "?" and "#", but is ${quote(text)}`);
  else if (/\/api\/?$/.test(url.pathname)) problems.error(path, 'is where NetBox is: leave out "/api"');
  else if (url.protocol === "http:") problems.warn(path, "the token can be read by whoever sees the packets: use https");
  return text;
}

function readSlug(text: string | undefined, path: Path, problems: Problems): string | undefined {
  if (text === undefined || slug.test(text)) return text;
  problems.error(
    path,
    `no slug of NetBox is ${quote(text)}: at most 100 letters, digits, "-" and "_"; it stands in the URL of its page`,
  );
  return undefined;
}

function readPlaces(
  { prefix }: RawNetbox,
  mode: Netbox["mode"],
  path: Path,
  entries: readonly AddressEntry[],
  problems: Problems,
): readonly AddressRange[] {
  const all = entries.map(({ range }) => range);
  if (prefix === undefined) return all;
  const here = [...path, "prefix"];
  if (mode === "record") problems.errorAtKey(here, 'only with "mode: allocate": otherwise NetBox chooses nothing');
  const read = parseAddresses(prefix);
  if (typeof read === "string") {
    problems.error(here, read);
    return all;
  }
  if (!all.some((range) => range.contains(read.first) && range.contains(read.last)))
    problems.error(here, `${quote(prefix)} is not in one entry of this pool's addresses`);
  return [read];
}
