import type { Portions } from "#pkg/clock";
import type { Config, ParsedConfig } from "#pkg/config";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import {
  type Candidate,
  type CandidateResult,
  type CandidateText,
  candidateText,
  configKey,
  type Holdings,
  type InForce,
  judge,
  mayStrand,
  type NamespaceLabels,
  statusConfigMap,
  strandedBy,
} from "./candidate.ts";
import { explain, logDecision, problemText } from "./describe.ts";
import { fingerprinting } from "./fingerprint.ts";

export interface State {
  /** Undefined while there has never been a usable configuration. */
  readonly inForce: InForce | undefined;
  /** On the present ConfigMap; undefined before `start`. A refusal's list of stranded addresses is kept up to date. */
  readonly verdict: CandidateResult | undefined;
}

export interface LiveConfigOptions {
  /** Reads texts, one after another, each at once or later. */
  readonly reader: { read(text: string, done: (parsed: ParsedConfig) => void): void };
  /** Services are looked at in them, some in each. */
  readonly portions: Pick<Portions, "do">;
  readonly holdings: Holdings;
  /** Gets every decision, with each thing that is wrong with a refused candidate. */
  readonly log: Log;
  /** Called when another configuration is in force, or the ConfigMap got another verdict. */
  readonly changed: (now: State, before: State) => void;
  /** For a configuration that asks for them, and is not on record as the last good one. */
  readonly namespaceLabels: () => NamespaceLabels;
  /** Called with every configuration that may come into force, before it does. */
  readonly wasRead?: (config: Config) => void;
}

const servicesAtOnce = 500;

/**
 * Keeps the decision up to date. Feed it the informers' objects, call `start` once each informer has seen everything, and go on feeding.
 * While a text is still being read, or Services are still being looked at, the former decision holds. A candidate that strands addresses is
 * judged again with every Service that changes, at a cost that does not depend on the number of Services, and takes effect by itself once
 * nothing is in its way.
 */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  #candidate: Candidate = { type: "missing", what: "configMap" };
  #mayRenumber = false; // The candidate may strand addresses.
  #lastGood: CandidateText | undefined;
  /** Texts that wait to be read, and their purposes. */
  readonly #unread: { candidate?: { readonly text: string; readonly mayRenumber: boolean }; lastGood?: string } = {};
  #isReading = false;
  /** The configuration that the candidate would replace. */
  #previous: InForce | undefined;
  #stranded = new Map<string, readonly Address[]>(); // service key -> addresses in the candidate's way
  /** The look at all Services that is under way. */
  #judging: { readonly candidateChanged: boolean } | undefined;
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

  /** In force or, before `start`, what will be as far as is known: the last good one. */
  get known(): InForce | undefined {
    return this.#state.inForce ?? this.#lastGood?.usable;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before `start`. */
  get refused(): string | undefined {
    const { verdict } = this.#state;
    return verdict === undefined || verdict.type === "accepted" ? undefined : explain(verdict);
  }

  /**
   * The present ConfigMap: its data, or undefined if it does not exist.
   * @param mayRenumber it is accepted also where it leaves no pool for addresses in use. Only the process that writes the last good
   * configuration, and gives other addresses, may say so: all others follow the record
   */
  configMapChanged(data: Readonly<Record<string, string>> | undefined, mayRenumber = false): void {
    const text = data?.[configKey];
    delete this.#unread.candidate;
    if (text === undefined) this.#setCandidate({ type: "missing", what: data === undefined ? "configMap" : "key" }, false);
    else if (this.#candidate.type !== "text" || text !== this.#candidate.text) {
      this.#unread.candidate = { text, mayRenumber };
      this.#read();
    } else {
      this.#mayRenumber = mayRenumber;
      if (mayRenumber && this.#state.verdict?.type === "strands" && this.#judging === undefined) this.#conclude(false);
    }
    this.#decideFirst();
  }

  /**
   * The text of the last accepted configuration. The process that writes it decides: its acceptance replaces the configuration in force
   * here. A text that cannot be read (any more) counts as absent.
   */
  lastGoodChanged(text: string | undefined): void {
    delete this.#unread.lastGood;
    if (text === this.#lastGood?.text) return;
    const known = text === undefined ? undefined : this.#known(text);
    if (text === undefined) this.#lastGood = undefined;
    // A configuration that has just been accepted counts at once: the next candidate, which may be being read, is to replace it.
    else if (known !== undefined) this.#setLastGood(known);
    else {
      this.#unread.lastGood = text;
      this.#read();
    }
    this.#decideFirst();
  }

  /** A Service appeared, changed or went, or holds other addresses. */
  serviceChanged(service: string): void {
    if (!mayStrand(this.#candidate, this.#previous) || (this.#judging === undefined && !this.#isOpen())) return;
    this.#look(service);
    if (this.#judging === undefined) this.#conclude(false);
  }

  /** Labels of namespaces have changed. */
  namespaceLabelsChanged(): void {
    if (this.#candidate.type === "text" && this.#candidate.namespaceLabels !== undefined) this.#judge(false);
  }

  /** Everything has been seen once: makes the first decision. */
  start(): void {
    this.#started = true;
    this.#decideFirst();
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

  /** The first decision is on everything that has been seen until `start`. */
  get #canDecideFirst(): boolean {
    return this.#started && this.#unread.candidate === undefined && this.#unread.lastGood === undefined;
  }

  #decideFirst(): void {
    if (this.#state.verdict === undefined && this.#judging === undefined) this.#judge(true);
  }

  /** Looks at all Services, then concludes. Services that change meanwhile are looked at when they do. */
  #judge(candidateChanged: boolean): void {
    if (this.#state.verdict === undefined && !this.#canDecideFirst) return;
    const judging = { candidateChanged: candidateChanged || (this.#judging?.candidateChanged ?? false) };
    this.#judging = judging;
    this.#stranded = new Map();
    const { holdings, portions } = this.#options;
    const services = mayStrand(this.#candidate, this.#previous) ? holdings.services()[Symbol.iterator]() : [].values();
    const portion = (): void => {
      for (let looked = 0; looked < servicesAtOnce; looked++) {
        if (this.#judging !== judging) return;
        const { done, value: service } = services.next();
        if (done) {
          this.#judging = undefined;
          this.#conclude(judging.candidateChanged);
          return;
        }
        this.#look(service);
      }
      portions.do(portion);
    };
    portions.do(portion);
  }

  #look(service: string): void {
    const after = this.#candidate.type === "text" ? this.#candidate.usable : undefined;
    if (after === undefined || this.#previous === undefined) return;
    const stranded = strandedBy(this.#options.holdings.of(service), this.#previous.pools, after.pools);
    if (stranded.length > 0) this.#stranded.set(service, stranded);
    else this.#stranded.delete(service);
  }

  #conclude(candidateChanged: boolean): void {
    const before = this.#state;
    const isOnRecord = this.#candidate.type === "text" && this.#candidate.text === this.#lastGood?.text;
    const verdict = judge(
      this.#candidate,
      new Map(this.#stranded),
      isOnRecord ? "known" : this.#options.namespaceLabels(),
      this.#mayRenumber,
    );
    const inForce = verdict.type === "accepted" ? verdict.inForce : this.#previous;
    const sameConfig = inForce?.text === before.inForce?.text;
    // The same text stays the same object, so that users may compare by identity.
    this.#state = { inForce: sameConfig ? before.inForce : inForce, verdict };
    if (sameConfig && !candidateChanged && verdict.type === before.verdict?.type) return;
    logDecision(this.#options.log, this.#state);
    this.#options.changed(this.#state, before);
  }

  /** Reads what is unread, the newest of each kind, one after the other. */
  #read(): void {
    const { candidate, lastGood } = this.#unread;
    const text = candidate?.text ?? lastGood;
    if (this.#isReading || text === undefined) return;
    this.#isReading = true;
    const done = (found: CandidateText): void => {
      this.#isReading = false;
      if (found.usable !== undefined) this.#options.wasRead?.(found.usable.config);
      if (this.#unread.candidate?.text === text) this.#setCandidate(found, this.#unread.candidate.mayRenumber);
      if (this.#unread.lastGood === text) this.#setLastGood(found);
      this.#decideFirst();
      this.#read();
    };
    const known = this.#known(text);
    if (known !== undefined) done(known);
    else this.#options.reader.read(text, (parsed) => this.#prepare(candidateText(text, parsed), done));
  }

  /** The last good text and the candidate are mostly the same one. */
  #known(text: string): CandidateText | undefined {
    if (this.#candidate.type === "text" && this.#candidate.text === text) return this.#candidate;
    return this.#lastGood?.text === text ? this.#lastGood : undefined;
  }

  /** Prepares in portions what the configuration needs once it is in force. */
  #prepare(found: CandidateText, done: (found: CandidateText) => void): void {
    const steps = found.usable && fingerprinting(found.usable.config);
    const portion = (): void => {
      if (steps === undefined || steps.next().done) done(found);
      else this.#options.portions.do(portion);
    };
    portion();
  }

  #setCandidate(candidate: Candidate, mayRenumber: boolean): void {
    delete this.#unread.candidate;
    this.#mayRenumber = mayRenumber;
    if (isSame(candidate, this.#candidate)) return;
    this.#candidate = candidate;
    // The writer of the record may never have seen the change in force here, because the next one came at once.
    this.#previous = this.#lastGood?.usable ?? this.#state.inForce;
    this.#judge(true);
  }

  #setLastGood(found: CandidateText): void {
    delete this.#unread.lastGood;
    this.#lastGood = found;
    if (found.usable !== undefined) {
      this.#previous = found.usable;
      this.#judge(false);
    } else {
      this.#options.log.error("last good configuration cannot be read", {
        event: "lastGoodUnusable",
        configMap: statusConfigMap,
        problem: found.problems.map(problemText)[0],
      });
    }
  }
}

function isSame(a: Candidate, b: Candidate): boolean {
  if (a.type === "text") return b.type === "text" && a.text === b.text;
  return b.type === "missing" && a.what === b.what;
}
