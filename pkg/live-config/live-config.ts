import type { Config } from "#pkg/config";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import {
  type Candidate,
  type CandidateText,
  configKey,
  findStranded,
  type Holdings,
  type InForce,
  judge,
  readCandidate,
  statusConfigMap,
  strandedBy,
  type Verdict,
} from "./candidate.ts";
import { explain, logDecision, problemText } from "./describe.ts";

export interface State {
  /** Undefined while there has never been a usable configuration. */
  readonly inForce: InForce | undefined;
  /** On the ConfigMap as it is now; undefined before `start`. A refusal's list of stranded addresses is kept up to date. */
  readonly verdict: Verdict | undefined;
}

export interface LiveConfigOptions {
  readonly holdings: Holdings;
  /** Gets every decision, with each thing that is wrong with a refused candidate. */
  readonly log: Log;
  /** Called when another configuration is in force, or the ConfigMap got another verdict. */
  readonly changed: (now: State, before: State) => void;
}

/**
 * Keeps the decision up to date. Feed it what informers see, call `start` once each of them has seen everything, and go on
 * feeding. A candidate that strands addresses is judged again with every Service that changes, at a cost that does not depend on
 * how many there are, and takes effect by itself when nothing is in its way any more.
 */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  #candidate: Candidate = { type: "missing", what: "configMap" };
  #lastGood: CandidateText | undefined;
  /** What the candidate would replace. */
  #previous: InForce | undefined;
  #stranded = new Map<string, readonly Address[]>(); // service key -> addresses in the candidate's way
  #state: State = { inForce: undefined, verdict: undefined };
  #started = false;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
  }

  get state(): State {
    return this.#state;
  }

  get inForce(): InForce | undefined {
    return this.#state.inForce;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before `start`. */
  get refused(): string | undefined {
    const { verdict } = this.#state;
    return verdict === undefined || verdict.type === "accepted" ? undefined : explain(verdict);
  }

  /** Every configuration that is in force or may come into force: the ConfigMap's and the last good one, where they can be used. */
  get usable(): readonly Config[] {
    const candidate = this.#candidate.type === "text" ? this.#candidate : undefined;
    return [candidate?.usable, this.#lastGood?.usable].flatMap((found) => found?.config ?? []);
  }

  /** The ConfigMap as it is now: its data, or undefined when there is none. */
  configMapChanged(data: Readonly<Record<string, string>> | undefined): void {
    const candidate = this.#read(data);
    if (isSame(candidate, this.#candidate)) return;
    this.#candidate = candidate;
    // What is in force here may be a change that whoever writes the record never saw, because the next one came at once.
    this.#previous = this.#lastGood?.usable ?? this.#state.inForce;
    this.#judge(true);
  }

  /**
   * The text of the last accepted configuration. Whoever writes it decides: its acceptance replaces what was in force here. One
   * that cannot be read (any more) counts as none.
   */
  lastGoodChanged(text: string | undefined): void {
    if (text === this.#lastGood?.text) return;
    this.#lastGood = text === undefined ? undefined : this.#parse(text);
    const lastGood = this.#lastGood?.usable;
    if (lastGood !== undefined) {
      this.#previous = lastGood;
      this.#judge(false);
    } else if (text !== undefined) {
      this.#options.log.error("last good configuration cannot be read", {
        event: "lastGoodUnusable",
        configMap: statusConfigMap,
        problem: this.#lastGood?.problems.map(problemText)[0],
      });
    }
  }

  /** A Service appeared, changed or went, or holds other addresses. */
  serviceChanged(service: string): void {
    const candidate = this.#candidate.type === "text" ? this.#candidate.usable : undefined;
    if (candidate === undefined || this.#previous === undefined || !this.#isOpen()) return;
    const stranded = strandedBy(this.#options.holdings.of(service), this.#previous.pools, candidate.pools);
    if (stranded.length > 0) this.#stranded.set(service, stranded);
    else this.#stranded.delete(service);
    this.#conclude(false);
  }

  /** Everything has been seen once: makes the first decision. */
  start(): void {
    this.#started = true;
    this.#judge(true);
  }

  /**
   * Whether Services can still change the verdict. After an acceptance they can until it is on record as the last good one: a
   * process that sees an address too late accepts too early, and has to come to the decision of the one that writes the record.
   */
  #isOpen(): boolean {
    const { verdict, inForce } = this.#state;
    if (verdict?.type === "strands") return true;
    const lastGood = this.#lastGood?.usable;
    return verdict?.type === "accepted" && lastGood !== undefined && lastGood.text !== inForce?.text;
  }

  #judge(candidateChanged: boolean): void {
    if (!this.#started) return;
    this.#stranded = findStranded(this.#candidate, this.#previous, this.#options.holdings);
    this.#conclude(candidateChanged);
  }

  #conclude(candidateChanged: boolean): void {
    const before = this.#state;
    const verdict = judge(this.#candidate, this.#stranded);
    const inForce = verdict.type === "accepted" ? verdict.inForce : this.#previous;
    const sameConfig = inForce?.text === before.inForce?.text;
    // The same text stays the same object, so that users may compare by identity.
    this.#state = { inForce: sameConfig ? before.inForce : inForce, verdict };
    if (sameConfig && !candidateChanged && verdict.type === before.verdict?.type) return;
    logDecision(this.#options.log, this.#state);
    this.#options.changed(this.#state, before);
  }

  #read(data: Readonly<Record<string, string>> | undefined): Candidate {
    if (data === undefined) return { type: "missing", what: "configMap" };
    const text = data[configKey];
    return text === undefined ? { type: "missing", what: "key" } : this.#parse(text);
  }

  /** The last good text and the candidate are mostly the same one: read it once. */
  #parse(text: string): CandidateText {
    if (this.#candidate.type === "text" && this.#candidate.text === text) return this.#candidate;
    if (this.#lastGood?.text === text) return this.#lastGood;
    return readCandidate(text);
  }
}

function isSame(a: Candidate, b: Candidate): boolean {
  if (a.type === "text") return b.type === "text" && a.text === b.text;
  return b.type === "missing" && a.what === b.what;
}
