import { announcedConfigMaps } from "#pkg/announced";
import { redactConfig } from "#pkg/config";
import { liveSchemas } from "#pkg/convert";
import { configKey, lastGoodKey, statusConfigMap, summaryConfigMap } from "#pkg/live-config";
import { quarantineConfigMap } from "#pkg/quarantine";

const mark = "REDACTED";
// All texts are full of shorter ones.
const minSecretLength = 4;
// ConfigMaps that controller and speakers write; except for configurations in them, they have no passwords.
const ownConfigMaps: ReadonlySet<string> = new Set([
  statusConfigMap,
  summaryConfigMap,
  quarantineConfigMap,
  ...announcedConfigMaps,
]);
const keyFlag = /(--?ml-secret-key[=\s]+)(\S+)/g;

// Such as `https://user:password@host`. A password that has an @ ends at the last one. Schemes are short: a long text of words is looked through once.
const urlPassword = /\b([a-z][-+.a-z0-9]{0,30}:\/\/[^\s/?#:@"']*):[^\s/?#"']+@/gi;

// A recording, in which a short password would be found by chance. It has none, and could not be unpacked any more.
const packed = /^[A-Za-z0-9+/]{4096,}={0,2}$/;

/** Takes out of everything that is collected what nobody may see. */
export class Redaction {
  readonly #secrets = new Set<string>();

  /** The data of the ConfigMap of this name. A text that a person put there may be a former configuration, under any key. */
  data(name: string, data: Readonly<Record<string, string>>): Record<string, string> {
    const redacted = Object.entries(data).map(([key, text]) => {
      if (ownConfigMaps.has(name) && key !== configKey && key !== lastGoodKey) return [key, text];
      return [key, this.configuration(text)];
    });
    return Object.fromEntries(redacted);
  }

  /** A text of the ConfigMap's form, or of MetalLB's custom resources. */
  configuration(text: string): string {
    const { text: shown, secrets } = redactConfig(text, liveSchemas);
    for (const secret of secrets) this.#secrets.add(secret.trim());
    return shown;
  }

  /** Words of a container's command line, where the ring's key may stand behind its flag. */
  args(words: readonly string[]): string[] {
    const hide = (secret: string) => {
      if (!/^\$\(\w+\)$/.test(secret)) this.#secrets.add(secret); // Else a variable, which is no secret.
      return mark;
    };
    return words.map((word, index) => {
      if (/^--?ml-secret-key$/.test(words[index - 1] ?? "")) return hide(word);
      return word.replace(keyFlag, (_, flag: string, secret: string) => flag + hide(secret));
    });
  }

  /** What JSON has, with every text in it. To be called when all objects are known: a password may stand in an event or an annotation, too. */
  value(value: unknown): unknown {
    if (typeof value === "string") return packed.test(value) ? value : this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.value(each)]));
  }

  /** Likewise. */
  text(text: string): string {
    let shown = text;
    // The longer ones first, of which a shorter one may be a part.
    const secrets = [...this.#secrets].sort((a, b) => b.length - a.length);
    for (const secret of secrets) {
      if (secret.length < minSecretLength) continue;
      // In metrics, and where a text has JSON in it, quotes are escaped.
      for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1)])) shown = shown.replaceAll(form, mark);
    }
    return shown.replace(urlPassword, `$1:${mark}@`);
  }
}
