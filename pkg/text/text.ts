// Both sets of control characters, which steer a terminal, and the marks that end a line or reorder the text beside them (UAX #9).
const control = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Control characters as `\u` escapes, as JSON has them: what is printed shows all of the text, and nothing but the text. */
export function escapeControls(text: string): string {
  return text.replace(control, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Control characters as dots, so that every character keeps its column. */
export function maskControls(text: string): string {
  return text.replace(control, (character) => (character === "\t" ? " " : "·"));
}

/** Quotes what somebody wrote, for a message: on one line, at most 60 characters of it, and nothing near a password. */
export function quote(found: string): string {
  return /passw/i.test(found) ? '"…"' : escapeControls(JSON.stringify(shorten(found)));
}

/** At most 60 characters, or so many. (An object has the length, as a number could be the index that `map` hands over.) */
export function shorten(found: string, { most = 60 }: { readonly most?: number } = {}): string {
  return found.length > most ? `${upTo(found, most)}…` : found;
}

/** At most `length` UTF-16 code units from the beginning, and no half of a character, which would become another character in UTF-8. */
export function upTo(text: string, length: number): string {
  const isHalf = text.length > length && (text.codePointAt(length - 1) ?? 0) > 0xffff;
  return text.slice(0, isHalf ? length - 1 : length);
}

/** A number such as `1,234`, or `2^64` if nobody counts that far. */
export function count(number: number): string {
  if (number < 1e9) return number.toLocaleString("en");
  const power = Math.log2(number);
  return Math.abs(power - Math.round(power)) < 0.01 ? `2^${Math.round(power)}` : number.toExponential(1);
}

/** A parser's message without the lines that quote its input. The input may be secret. */
export function withoutQuotation(message: string): string {
  const [first = ""] = message.split("\n", 1);
  return first;
}

const ofManifests = /(?<=kubectl -n |system:serviceaccount:)metallb-system(?![\w-])/g;

/** A text whose commands, written for the namespace of the manifests, are for another one, in which controller and speakers run. */
export function forNamespace(text: string, namespace: string): string {
  if (namespace === "metallb-system") return text;
  const said = text.replace(ofManifests, () => namespace);
  return withOption(said, "--system-namespace", namespace);
}

/** Gives the option to the commands of ingotctl that ask controller and speakers, where they do not have it. */
export function withOption(text: string, name: string, value: string): string {
  const command = new RegExp(`\\bingotctl (?:${asking})\\b(?!(?: --[a-z-]+ (?:'[^']*'|\\S+))* ${name} )`, "g");
  return text.replace(command, (found) => `${found} ${name} ${value}`);
}

const asking = "doctor|drain|explain|members|nodes|peers|probe|router-config|services|status|uncordon";

const maxListed = 5; // Kubernetes takes 1024 characters in an event.

/**
 * The items with commas between them; of many the first five, and how many more there are.
 * @param total how many there are, where not all are given
 */
export function list(items: readonly { toString(): string }[], separator = ", ", total = items.length): string {
  const more = total > maxListed ? [`and ${total - maxListed} more`] : [];
  return [...items.slice(0, maxListed), ...more].join(separator);
}

/** Likewise, of items of which those that are listed have to be described first. */
export function listOf<T>(items: readonly T[], describe: (item: T) => string, total = items.length): string {
  return list(items.slice(0, maxListed).map(describe), ", ", total);
}

/** `node` for one, `nodes` for any other number. */
export function plural(number: number, word: string): string {
  if (number === 1) return word;
  return /[sx]$/.test(word) ? `${word}es` : `${word}s`;
}

/** `1 node`, `2 nodes`. */
export function counted(number: number, word: string): string {
  return `${number} ${plural(number, word)}`;
}

type AgeUnits = readonly [second: string, minute: string, hour: string, day: string];
const kubectlUnits: AgeUnits = ["s", "m", "h", "d"];

/** An age such as `45s`, `12m`, `3h` or `5d`, in kubectl's form; empty for text that is no date. */
export function age(since: string, now: Date, units: AgeUnits = kubectlUnits): string {
  const [second, minute, hour, day] = units;
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return "";
  if (seconds < 120) return `${seconds}${second}`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}${minute}`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}${hour}` : `${Math.floor(seconds / 86_400)}${day}`;
}

/** A hash of 32 bits (FNV-1a), equal in all processes. Somebody can easily find two texts with one hash. */
export function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash >>> 0;
}
