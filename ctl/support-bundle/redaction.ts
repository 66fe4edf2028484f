import { redactConfig } from "#pkg/config";
import { configKey, lastGoodKey } from "#pkg/live-config";

const mark = "REDACTED";
// Of shorter ones all texts are full.
const minSecretLength = 4;

/** Takes out of everything that is collected what nobody may see. */
export class Redaction {
  readonly #secrets = new Set<string>();

  /** A ConfigMap's data; what it is for is told by the key. */
  data(data: Readonly<Record<string, string>>): Record<string, string> {
    const redacted = Object.entries(data).map(([key, text]) => {
      if (key !== configKey && key !== lastGoodKey) return [key, text];
      const { text: shown, secrets } = redactConfig(text);
      for (const secret of secrets) this.#secrets.add(secret.trim());
      return [key, shown];
    });
    return Object.fromEntries(redacted);
  }

  /** To be called with every text, when all ConfigMaps are known: a password may stand in an event or an annotation, too. */
  text(text: string): string {
    let shown = text;
    for (const secret of this.#secrets) {
      if (secret.length < minSecretLength) continue;
      for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1)])) shown = shown.replaceAll(form, mark);
    }
    return shown;
  }
}
