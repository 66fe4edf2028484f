import { type Allowance, type Clock, type Millis, SourceTokens } from "#pkg/clock";
import { namespaceOf } from "#pkg/service";
import type { Fields, Severity } from "./format.ts";

// Five hundred Services of a namespace get another address at once: two lines each. Then a line a second is some 40 MB a day.
const ofNamespace: Allowance = { burst: 1_000, everyMs: 1_000 };
// Ten thousand Services of a cluster get another address at once. Nineteen namespaces whose Services are edited in a loop use 19,000 lines of it, and
// then 19 of the hundred a second.
const ofAll: Allowance = { burst: 20_000, everyMs: 10 };
const reportEveryMs: Millis = 60_000;
const maxNamed = 100;

/**
 * Each edit of a Service can cause a line of the log. Lines with a field `service` therefore have a rate for each namespace, and one for all
 * namespaces together. Lines that are left out are counted, and their number is reported once a minute. Lines about no Service have no
 * limit here.
 */
export class NamespaceLimit {
  readonly #clock: Clock;
  readonly #report: (message: string, fields: Fields) => void;
  readonly #tokens: SourceTokens;
  readonly #leftOut = new Map<string | undefined, number>(); // namespace -> lines since the last report; undefined: of those beyond `maxNamed`

  constructor(clock: Clock, report: (message: string, fields: Fields) => void) {
    this.#clock = clock;
    this.#report = report;
    this.#tokens = new SourceTokens({ ofSource: ofNamespace, all: ofAll }, clock.now());
  }

  /** @returns whether a line with these fields may be written */
  take(level: Severity, { service }: Fields): boolean {
    if (typeof service !== "string") return true;
    const namespace = namespaceOf(service);
    const now = this.#clock.now();
    // An edit of a Service causes lines at debug about each Service that shares its address, also in other namespaces.
    if (this.#tokens.take(level === "debug" ? `${namespace} debug` : namespace, now)) return true;
    if (this.#leftOut.size === 0) this.#clock.schedule("log lines left out", now + reportEveryMs, () => this.#reportLeftOut());
    const named = this.#leftOut.has(namespace) || this.#leftOut.size < maxNamed ? namespace : undefined;
    this.#leftOut.set(named, (this.#leftOut.get(named) ?? 0) + 1);
    return false;
  }

  #reportLeftOut(): void {
    for (const [namespace, lines] of this.#leftOut) {
      const message =
        namespace === undefined
          ? "lines about Services of other namespaces were left out in the last minute"
          : "lines about Services of a namespace were left out in the last minute";
      this.#report(message, { op: "log", namespace, lines });
    }
    this.#leftOut.clear();
  }
}
