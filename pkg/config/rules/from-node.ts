import { quote } from "#pkg/text";
import type { NodeField, ObjectText, Peer } from "../config.ts";
import { Place, Problems } from "../problems.ts";
import type { RawPeer } from "../shape/raw.ts";
import { readPeer } from "./peer.ts";
import { readText } from "./service-policy.ts";

const nodeFields = ["peer-address", "my-asn", "peer-asn", "router-id", "source-address", "password-secret-key"] as const;

/** No field takes a longer value. */
const maxValue = 253;
/** The most of a field with several values: enough for the addresses of all routers of a rack. */
const maxText = 1_024;

/** The configuration was read with the profiles that it has. */
const anyProfile: Parameters<typeof readPeer>[2] = { has: () => true, keys: () => [].values() };

/** The labels and annotations of one node. */
export interface NodeTexts {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Reads `from-node`: field -> where its value stands. Undefined without any. */
export function readNodeValues(fields: RawPeer, at: Place): ReadonlyMap<NodeField, ObjectText> | undefined {
  const values = new Map<NodeField, ObjectText>();
  for (const field of nodeFields) {
    const from = fields["from-node"]?.[field];
    if (from === undefined) continue;
    const here = at.in("from-node", field);
    const text = readText(from, here);
    if (text !== undefined) values.set(field, text);
    const isSecretKey = field === "password-secret-key";
    const isTwice = isSecretKey ? fields["password-secret"]?.key !== undefined : fields[field] !== undefined;
    if (isTwice) here.errorAtKey(`not together with ${isSecretKey ? "password-secret.key" : field}`);
    if (isSecretKey && fields["password-secret"] === undefined) here.error("needs a password-secret");
  }
  return values.size === 0 ? undefined : values;
}

/** The fields with values that stand for those of nodes, so that all others can be read. */
export function withStandIns(fields: RawPeer, values: ReadonlyMap<NodeField, ObjectText>): RawPeer {
  const standIns: Record<string, unknown> = {};
  if (values.has("peer-address")) standIns["peer-address"] = fields.interface ? "fe80::1" : "192.0.2.1";
  if (values.has("my-asn")) standIns["my-asn"] = fields["peer-asn"] === 1 ? 2 : 1;
  if (values.has("peer-asn")) standIns["peer-asn"] = "external";
  return { ...fields, ...standIns };
}

/**
 * The peers that an entry is for one node: with the values of the node's labels and annotations, which are held to the rules of the configuration.
 * A peer for each address that the node has for `peer-address`; of a field with as many values each peer has its own.
 * @returns for each the peer, or the label or annotation that makes no peer, and what is wrong with it
 */
export function peersOfNode(entry: Peer, node: NodeTexts): readonly (Peer | string)[] {
  const { fromNode } = entry;
  if (fromNode === undefined) return [entry];
  const found = new Map<NodeField, readonly string[]>();
  for (const [field, { kind, name }] of fromNode.values) {
    const texts = kind === "label" ? node.labels : node.annotations;
    const text = Object.hasOwn(texts, name) ? texts[name] : undefined;
    if (text === undefined) return [`it has no ${kind} ${quote(name)}, from which ${field} is to come`];
    if (text.length > maxText) return [`its ${kind} ${quote(name)} is longer than ${maxText} characters`];
    found.set(
      field,
      text.split(",").map((each) => each.trim()),
    );
  }
  const count = found.get("peer-address")?.length ?? 1;
  for (const [field, { length }] of found)
    if (length !== 1 && length !== count) {
      const of = fromNode.values.get(field);
      return [
        `its ${of?.kind} ${quote(of?.name ?? "")} has ${length} values for ${field}, and there are ${count} of peer-address`,
      ];
    }
  const nth = (index: number) =>
    new Map([...found].map(([field, values]) => [field, values[values.length === 1 ? 0 : index] ?? ""] as const));
  return Array.from({ length: count }, (_, index) => peerWith(fromNode, nth(index)));
}

function peerWith(fromNode: NonNullable<Peer["fromNode"]>, texts: ReadonlyMap<NodeField, string>): Peer | string {
  const found: Record<string, unknown> = {};
  for (const [field, text] of texts) {
    const value = readValue(field, text);
    const { kind, name = "" } = fromNode.values.get(field) ?? {};
    if (value === undefined) return `its ${kind} ${quote(name)} cannot be ${field}: ${quote(text)}`;
    found[field] = value;
  }
  const { "from-node": _, ...fields } = fromNode.fields;
  const { "password-secret-key": key, ...others } = found;
  const secret = key === undefined ? {} : { "password-secret": { ...fields["password-secret"], key } };
  const problems = new Problems();
  const peer = readPeer({ ...fields, ...others, ...secret } as RawPeer, new Place(problems), anyProfile);
  const wrong = problems.list(() => ({ line: 1, column: 1 })).find(({ severity }) => severity === "error");
  if (wrong === undefined && peer !== undefined) return peer;
  return `its labels and annotations make no peer: ${wrong?.path ?? ""}: ${wrong?.message ?? ""}`;
}

function readValue(field: NodeField, text: string): string | number | undefined {
  if (text === "" || text.length > maxValue) return undefined;
  if (field === "peer-asn" && (text === "external" || text === "internal")) return text;
  if (field !== "my-asn" && field !== "peer-asn") return text;
  const asn = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return asn >= 1 && asn <= 0xffff_ffff ? asn : undefined;
}
