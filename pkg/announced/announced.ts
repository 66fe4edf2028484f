import { escapeControls, fnv1a, forNamespace, upTo } from "#pkg/text";
import { type CauseOf, causes } from "#pkg/verdict";

/** Whether a Service is announced. */
export interface AnnouncedLine {
  /** `unknown`: a cause that only a later version than this one has. Whether the Service is announced, only the message says. */
  readonly cause: CauseOf<"service"> | "unknown";
  /** One sentence for its owner, with the node or the remedy in it. */
  readonly message: string;
  /** `subjectOf` the Service: a line says nothing about another Service of the same name, or about other addresses. */
  readonly subject: string;
}

// A ConfigMap holds 1 MiB: 10,000 Services of which no line could be longer have room in all of them.
const count = 8;
const maxMessage = 600;
// Far more than a ConfigMap of honest lines has. Writers of the ConfigMap could make many more up.
const maxLines = 10_000;

interface NamedData {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Selects the ConfigMaps, and perhaps others. */
export const announcedLabels = "ingot-use=announced";
export const announcedConfigMaps: readonly string[] = Array.from({ length: count }, (_, index) => `ingot-announced-${index}`);

/** The one with the line of a Service. */
export function announcedConfigMap(service: string): string {
  return `ingot-announced-${(fnv1a(service) >>> 16) % count}`;
}

/** In the first ConfigMap: its value is another one every two minutes, while a speaker writes lines or has none to write. */
export const aliveKey = "_alive";

/** In the first ConfigMap: the node that wrote all lines last. */
export const reporterKey = "_reporter";

const writerPrefix = "_writer.";

/** In each ConfigMap: a key for each node that wrote lines there since one node wrote all of them. Its value is the node's name, which may be too long for a key. */
export function writerKey(node: string): string {
  return `${writerPrefix}${fnv1a(node).toString(36)}`;
}

/** Whether a node wrote all lines that there are in a ConfigMap. */
export function areAllOf(node: string, { name, data }: NamedData): boolean {
  const isReporter = name !== announcedConfigMaps[0] || data[reporterKey] === node;
  return isReporter && Object.keys(data).every((key) => !key.startsWith(writerPrefix) || key === writerKey(node));
}

/** Neither a namespace nor the name of a Service has a dot. */
export function announcedKey(service: string): string {
  return service.replace("/", ".");
}

/** The Service and its addresses, in a few characters. */
export function subjectOf({ uid, ingress }: { readonly uid: string; readonly ingress: readonly string[] }): string {
  return fnv1a([uid, ...ingress].join()).toString(36);
}

export function encodeAnnounced({ cause, subject, message }: AnnouncedLine): string {
  return `${cause} ${subject} ${upTo(message, maxMessage)}`;
}

/** Lines by Service, with commands for the namespace; whatever is no line is passed over, and so are other ConfigMaps. */
export function decodeAnnounced({ name, data }: NamedData, namespace: string): ReadonlyMap<string, AnnouncedLine> {
  if (!announcedConfigMaps.includes(name)) return new Map();
  const lines = new Map<string, AnnouncedLine>();
  for (const [key, text] of Object.entries(data).slice(0, maxLines)) {
    const [isLine, cause = "", subject = "", message = ""] = /^(\w+) (\w{1,7}) (.*)$/su.exec(text) ?? [];
    if (isLine === undefined) continue;
    const said = escapeControls(upTo(forNamespace(message, namespace), maxMessage));
    lines.set(key.replace(".", "/"), { cause: isCause(cause) ? cause : "unknown", subject, message: said });
  }
  return lines;
}

function isCause(text: string): text is CauseOf<"service"> {
  return Object.hasOwn(causes.service, text);
}
