import type { Millis } from "#pkg/clock";
import type { Config, ParsedConfig } from "#pkg/config";
import { PartOf } from "#pkg/core";
import type { Fields } from "#pkg/log";
import type { Address } from "#pkg/net";
import {
  type Candidate,
  type CandidateResult,
  type CandidateText,
  candidateText,
  type Holdings,
  type InForce,
  judge,
  type Missing,
  mayStrand,
  type NamespaceLabels,
  statusConfigMap,
  strandedBy,
} from "./candidate.ts";
import { type ConfigStatus, configurationVerdict, decisionLines, explain, type Line, problemText } from "./describe.ts";

export interface State {
  /** Undefined while there has never been a usable configuration. */
  readonly inForce: InForce | undefined;
  /** On the present ConfigMap; undefined before `start`. A refusal's list of stranded addresses is kept up to date. */
  readonly verdict: CandidateResult | undefined;
}

/** Another configuration is in force, or the ConfigMap got another verdict. */
export interface LiveDecision {
  readonly now: State;
  readonly before: State;
  /** Another process put on record what came before: it has decided on the addresses that are in the way of what is in force now. */
  readonly isFollowing: boolean;
}

/** The present source of the configuration. */
export interface SeenConfig {
  /** Undefined without a text: for the reason in `missing`, or else because the ConfigMap does not have the key. */
  readonly text: string | undefined;
  readonly missing?: Missing | undefined;
  readonly missingKinds?: readonly string[] | undefined;
  readonly version: string;
}

export type LiveConfigEffect =
  | ({ readonly type: "log" } & Line)
  /** Read the text, with `readCandidate`, and deliver it by `read`. One text is read at a time. */
  | { readonly type: "readConfig"; readonly secretText: string }
  /** The configuration may come into force. */
  | { readonly type: "prepareConfig"; readonly config: Config }
  /** Call `portion` when the next portion of what concerns all Services is to be done. */
  | { readonly type: "judgePortion"; readonly of: number };

/** Gets effects, which are carried out at once or later. */
export interface LiveConfigContext {
  readonly now: Millis;
  do(effect: LiveConfigEffect): void;
}

/** A look at all Services. */
interface Judging {
  readonly number: number;
  readonly candidateChanged: boolean;
  readonly services: readonly string[];
  looked: number;
}

const servicesAtOnce = 500;

/**
 * Keeps the decision up to date. Feed it the informers' objects, call `start` once each informer has seen everything, and go on feeding;
 * each call may give another decision. While a text is still being read, or Services are still being looked at, the former decision holds.
 * A candidate that strands addresses is judged again with every Service that changes, at a cost that does not depend on the number of
 * Services. Once nothing is in its way, all Services are looked at again, and it takes effect by itself.
 */
export class LiveConfig extends PartOf<LiveConfigContext> {
  private readonly holdings: Holdings;
  private labels: NamespaceLabels;
  private readonly configMap: string;
  private readonly logFields: Fields;
  private candidate: Candidate = { type: "missing", what: "configMap", kinds: [] };
  private mayRenumber = false; // The candidate may strand addresses.
  private lastGood: CandidateText | undefined;
  /** Texts that wait to be read, and their purposes. */
  private unreadCandidate: { readonly text: string; readonly mayRenumber: boolean } | undefined;
  private unreadLastGood: string | undefined;
  private isReading = false;
  /** The configuration that the candidate would replace. */
  private previous: InForce | undefined;
  private isFollowing = false; // That is on record by another process, and has not been in force here.
  private stranded = new Map<string, readonly Address[]>(); // service key -> addresses in the candidate's way
  private judging: Judging | undefined;
  private judged = 0; // How often all Services were looked at.
  private decided: State = { inForce: undefined, verdict: undefined };
  private started = false;
  private since: Millis; // When the verdict was reached.
  private inForceSince: Millis | undefined;
  private seen: string | undefined;

  /** @param labels counts for a configuration that asks for them, and is not on record as the last good one @param configMap its name, or NAMESPACE/NAME @param logFields of each line */
  constructor(
    context: LiveConfigContext,
    holdings: Holdings,
    labels: NamespaceLabels,
    since: Millis,
    configMap: string,
    logFields: Fields = {},
  ) {
    super(context);
    this.configMap = configMap;
    this.holdings = holdings;
    this.labels = labels;
    this.logFields = logFields;
    this.since = since;
  }

  get state(): State {
    return this.decided;
  }

  get inForce(): InForce | undefined {
    return this.decided.inForce;
  }

  /** The configuration in force, the verdict on the ConfigMap's, and their dates. */
  get status(): ConfigStatus {
    const { decided, inForceSince, seen, since } = this;
    return {
      inForce: decided.inForce?.config,
      inForceSince,
      seen,
      verdict: configurationVerdict(decided, this.configMap),
      since,
    };
  }

  /** In force or, before `start`, what will be as far as is known: the last good one. */
  get known(): Config | undefined {
    return (this.decided.inForce ?? this.lastGood?.usable)?.config;
  }

  /** A configuration was seen, and whether it comes into force is not known yet. */
  get isDeciding(): boolean {
    return this.unreadCandidate !== undefined || this.judging !== undefined;
  }

  /** Why the ConfigMap's configuration is not the one in force; undefined when it is, or before `start`. */
  get refused(): string | undefined {
    const { verdict } = this.decided;
    return verdict === undefined || verdict.type === "accepted" ? undefined : explain(verdict);
  }

  /**
   * The present ConfigMap: the text under its key, if it has that, and its version; undefined if it does not exist.
   * @param mayRenumber it is accepted also where it leaves no pool for addresses in use. Only the process that writes the last good
   * configuration, and gives other addresses, may say so: all others follow the record
   */
  configMapChanged(now: SeenConfig | undefined, mayRenumber = false): LiveDecision | undefined {
    let decision: LiveDecision | undefined;
    const text = now?.text;
    this.seen = now?.version;
    this.unreadCandidate = undefined;
    if (text === undefined) {
      const what = now === undefined ? "configMap" : (now.missing ?? "key");
      this.#setCandidate({ type: "missing", what, kinds: now?.missingKinds ?? [] }, false);
    } else if (this.candidate.type !== "text" || text !== this.candidate.text) {
      this.unreadCandidate = { text, mayRenumber };
      this.#read();
    } else {
      this.mayRenumber = mayRenumber;
      if (mayRenumber && this.decided.verdict?.type === "strands" && this.judging === undefined) decision = this.#conclude(false);
    }
    this.#decideFirst();
    return decision;
  }

  /**
   * The text of the last accepted configuration. The process that writes it decides: its acceptance replaces the configuration in force
   * here. A text that cannot be read (any more) counts as absent.
   */
  lastGoodChanged(text: string | undefined): void {
    this.unreadLastGood = undefined;
    if (text === this.lastGood?.text) return;
    const known = text === undefined ? undefined : this.#known(text);
    if (text === undefined) this.lastGood = undefined;
    // A configuration that has just been accepted counts at once: the next candidate, which may be being read, is to replace it.
    else if (known !== undefined) this.#setLastGood(known);
    else {
      this.unreadLastGood = text;
      this.#read();
    }
    this.#decideFirst();
  }

  /** A text was read. */
  read(text: string, parsed: ParsedConfig): void {
    this.isReading = false;
    this.#take(candidateText(text, parsed));
  }

  /** A Service appeared, changed or went, or holds other addresses. */
  serviceChanged(service: string): LiveDecision | undefined {
    if (!mayStrand(this.candidate, this.previous) || (this.judging === undefined && !this.#isOpen())) return undefined;
    this.#look(service);
    if (this.judging !== undefined) return undefined;
    // Another Service may have by now what this one gave up, and be heard of later.
    if (this.stranded.size > 0 || this.decided.verdict?.type !== "strands") return this.#conclude(false);
    this.#judge(false);
    return undefined;
  }

  /** Labels of namespaces are known from now on, or cannot be had. */
  namespaceLabelsChanged(labels: NamespaceLabels): void {
    this.labels = labels;
    if (this.candidate.type === "text" && this.candidate.namespaceLabels !== undefined) this.#judge(false);
  }

  /** Everything has been seen once: makes the first decision. */
  start(): void {
    this.started = true;
    this.#decideFirst();
  }

  /** Looks at some more of the Services. */
  portion(of: number): LiveDecision | undefined {
    const { judging } = this;
    if (judging?.number !== of) return undefined;
    const { services, looked } = judging;
    for (const service of services.slice(looked, looked + servicesAtOnce)) this.#look(service);
    judging.looked += servicesAtOnce;
    if (judging.looked < services.length) {
      this.context.do({ type: "judgePortion", of });
      return undefined;
    }
    this.judging = undefined;
    return this.#conclude(judging.candidateChanged);
  }

  /**
   * Whether Services can still change the verdict. After an acceptance they can until it is on record as the last good one: a
   * process that sees an address too late accepts too early, and has to come to the decision of the one that writes the record.
   */
  #isOpen(): boolean {
    const { verdict, inForce } = this.decided;
    if (verdict?.type === "strands") return true;
    const lastGood = this.lastGood?.usable;
    return verdict?.type === "accepted" && lastGood !== undefined && lastGood.text !== inForce?.text;
  }

  /** The first decision is on everything that has been seen until `start`. */
  get #canDecideFirst(): boolean {
    return this.started && this.unreadCandidate === undefined && this.unreadLastGood === undefined;
  }

  #decideFirst(): void {
    if (this.decided.verdict === undefined && this.judging === undefined) this.#judge(true);
  }

  /** Looks at all Services, then concludes. Services that change meanwhile are looked at when they do. */
  #judge(candidateChanged: boolean): void {
    if (this.decided.verdict === undefined && !this.#canDecideFirst) return;
    const number = ++this.judged;
    const services = mayStrand(this.candidate, this.previous) ? [...this.holdings.services()] : [];
    const isOther = candidateChanged || (this.judging?.candidateChanged ?? false);
    this.judging = { number, candidateChanged: isOther, services, looked: 0 };
    this.stranded = new Map();
    this.context.do({ type: "judgePortion", of: number });
  }

  #look(service: string): void {
    const after = this.candidate.type === "text" ? this.candidate.usable : undefined;
    if (after === undefined || this.previous === undefined) return;
    const stranded = strandedBy(this.holdings.of(service), this.previous.pools, after.pools);
    if (stranded.length > 0) this.stranded.set(service, stranded);
    else this.stranded.delete(service);
  }

  #conclude(candidateChanged: boolean): LiveDecision | undefined {
    const before = this.decided;
    const isOnRecord = this.candidate.type === "text" && this.candidate.text === this.lastGood?.text;
    const verdict = judge(this.candidate, new Map(this.stranded), isOnRecord ? "known" : this.labels, this.mayRenumber);
    const inForce = verdict.type === "accepted" ? verdict.inForce : this.previous;
    const sameConfig = inForce?.text === before.inForce?.text;
    // The same text stays the same object, so that users may compare by identity.
    this.decided = { inForce: sameConfig ? before.inForce : inForce, verdict };
    const { isFollowing } = this;
    if (!sameConfig) this.isFollowing = false;
    if (sameConfig && !candidateChanged && verdict.type === before.verdict?.type) return undefined;
    this.since = this.context.now;
    if (!sameConfig) this.inForceSince = this.since;
    for (const line of decisionLines(this.decided, before.verdict)) this.#log(line);
    return { now: this.decided, before, isFollowing };
  }

  /** Reads what is unread, the newest of each kind, one after the other. */
  #read(): void {
    const text = this.unreadCandidate?.text ?? this.unreadLastGood;
    if (this.isReading || text === undefined) return;
    const known = this.#known(text);
    if (known !== undefined) {
      this.#take(known);
      return;
    }
    this.isReading = true;
    this.context.do({ type: "readConfig", secretText: text });
  }

  #take(found: CandidateText): void {
    if (found.usable !== undefined) this.context.do({ type: "prepareConfig", config: found.usable.config });
    if (this.unreadCandidate?.text === found.text) this.#setCandidate(found, this.unreadCandidate.mayRenumber);
    if (this.unreadLastGood === found.text) this.#setLastGood(found);
    this.#decideFirst();
    this.#read();
  }

  /** The last good text and the candidate are mostly the same one. */
  #known(text: string): CandidateText | undefined {
    if (this.candidate.type === "text" && this.candidate.text === text) return this.candidate;
    return this.lastGood?.text === text ? this.lastGood : undefined;
  }

  #setCandidate(candidate: Candidate, mayRenumber: boolean): void {
    this.unreadCandidate = undefined;
    this.mayRenumber = mayRenumber;
    if (isSame(candidate, this.candidate)) return;
    this.candidate = candidate;
    // The writer of the record may never have seen the change in force here, because the next one came at once.
    this.previous = this.lastGood?.usable ?? this.decided.inForce;
    this.#judge(true);
  }

  #setLastGood(found: CandidateText): void {
    this.unreadLastGood = undefined;
    this.lastGood = found;
    if (found.usable !== undefined) {
      this.previous = found.usable;
      this.isFollowing ||= this.decided.inForce !== undefined && this.decided.inForce.text !== found.text;
      this.#judge(false);
      return;
    }
    const fields = { event: "lastGoodUnusable", configMap: statusConfigMap, problem: found.problems.map(problemText)[0] };
    this.#log({ level: "error", message: "last good configuration cannot be read", fields });
  }

  #log({ level, message, fields }: Line): void {
    this.context.do({ type: "log", level, message, fields: { ...this.logFields, ...fields } });
  }
}

function isSame(a: Candidate, b: Candidate): boolean {
  if (a.type === "text") return b.type === "text" && a.text === b.text;
  return b.type === "missing" && a.what === b.what && a.kinds.join() === b.kinds.join();
}
