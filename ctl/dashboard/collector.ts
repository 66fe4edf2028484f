import type { Clock, Millis } from "#pkg/clock";
import { checkedAnswer, type SpeakerServices } from "../cluster/answers.ts";
import { isStarting, knowsMore } from "../cluster/merge.ts";
import { type Answer, isOtherVersion, type Processes, type Target } from "../cluster/processes.ts";
import type { MissingPods } from "../doctor/missing-pods.ts";
import { buildModel, type Heard } from "./model/build.ts";
import { keepRows } from "./model/changes.ts";
import { eventsBetween, withEvents } from "./model/events.ts";
import { type AboutRow, emptyModel, type Model, type Outage } from "./model/rows.ts";
import { sampleMs, withSample } from "./model/trends.ts";

export interface CollectorOptions {
  /** Finds the Pods again, and takes over the connections to Pods that are still there. @throws {Error} if the API server does not list them */
  readonly connect: (before: Processes | undefined) => Promise<Processes>;
  /** Why there are no Pods: without it the silence of a program has no cause. */
  readonly missing: (processes: Pick<Processes, "targets">) => Promise<MissingPods>;
  /** Of controller and speakers. */
  readonly namespace: string;
  /** The name of the cluster on the page. */
  readonly cluster: string;
  readonly clock: Clock;
  /** The date of observations. */
  readonly date: () => Date;
}

// Interval of one process. With many processes it is longer, so that the API server's load stays the same; and no process is kept busy for
// more than a quarter of the time.
const leastEveryMs: Millis = 1_000;
const perProcessMs: Millis = 30;
const restFactor = 4;
const maxEveryMs: Millis = 60_000;
// Pods come and go seldom.
const connectEveryMs: Millis = 10_000;
// A process that falls silent makes the collector ask the API server at once, but no more often than this.
const leastConnectMs: Millis = 1_000;
// A new model is made no more often than this, and for no more than a quarter of the time: with 1,000 nodes it has a million pairs.
const settleMs: Millis = 100;
// A speaker that lists all Services and is silent for longer is followed by another.
const silentMs: Millis = 2_000;
const atOnce = 16;
const turnMs: Millis = 500; // A process that takes longer may hang: its turn passes to the next one meanwhile.

interface FollowedProcess {
  readonly target: Target;
  heard: Heard;
  /** ISO 8601, of its last answer; undefined: it never answered. */
  answeredAt: string | undefined;
  /** When its present round of questions began; undefined between rounds. */
  since: Millis | undefined;
  /** Whether its first round is over, however it ended. */
  isDone: boolean;
  /** Its next round, for which it does not wait for a turn yet. */
  next: Disposable | undefined;
  /** Its last answers before it fell silent, for as long as the API server may be the cause. */
  doubted: Heard | undefined;
}

/**
 * Asks all processes over and over, each at its own pace, and makes a model of the latest that each said. Processes that do not answer delay
 * others for a moment, and once that is known only one another.
 */
export class Collector implements AsyncDisposable {
  readonly #options: CollectorOptions;
  readonly #asked = new Map<string, FollowedProcess>(); // pod -> what it said
  readonly #turns = { others: new Turns(), silent: new Turns() }; // Processes that were silent wait for one another alone.
  #processes: Processes | undefined;
  #missing: MissingPods = {};
  #listing: string | undefined; // The Pod of the speaker that is asked for all Services.
  #whole: Answer<SpeakerServices> | undefined; // Its latest list, also for as long as no other speaker has sent one after it was lost.
  #model = emptyModel();
  #sampled = emptyModel(); // When the trends had their last values.
  #sampledAt: Millis = -Infinity;
  #startedAt = "";
  #lastEvent = 0;
  #wasComplete = false;
  #settle: Disposable | undefined;
  #settleMs = settleMs;
  #reconnect: Disposable | undefined;
  #connecting: Promise<void> | undefined;
  #connectedAt: Millis = -Infinity; // When the API server was asked last.
  #foundAt: Millis = -Infinity; // When the last question began that it answered.
  #outage: Outage | undefined;
  #stopped = false;
  #listener: (model: Model) => void = () => {};

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Calls `listener` with each model from now on, in place of an earlier one. */
  onModel(listener: (model: Model) => void): void {
    this.#listener = listener;
  }

  /** @throws {Error} where the cluster cannot be reached */
  async start(): Promise<void> {
    this.#startedAt = this.#now;
    await this.#find();
    this.#scheduleConnect();
  }

  /** The processes at the time of each question, for questions of other kinds. Not to be disposed. */
  get processes(): Processes {
    const collector = this;
    return {
      get targets() {
        return collector.#current.targets;
      },
      get: (target, path) => this.#current.get(target, path),
      async [Symbol.asyncDispose]() {},
    };
  }

  get #current(): Processes {
    if (this.#processes === undefined) throw new Error("Cannot ask: there is no connection to the cluster yet");
    return this.#processes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#settle?.[Symbol.dispose]();
    this.#reconnect?.[Symbol.dispose]();
    for (const asked of this.#asked.values()) asked.next?.[Symbol.dispose]();
    await this.#connecting;
    await this.#processes?.[Symbol.asyncDispose]();
  }

  #scheduleConnect(): void {
    const { clock } = this.#options;
    this.#reconnect = clock.schedule("find Pods", clock.now() + connectEveryMs, () => {
      void this.#connect().then(() => {
        if (!this.#stopped) this.#scheduleConnect();
      });
    });
  }

  /** Asks the API server for the Pods, or waits for a question that is on its way. */
  #connect(): Promise<void> {
    const { clock } = this.#options;
    this.#connecting ??= this.#find()
      .catch((error: Error) => {
        this.#outage = { since: this.#outage?.since ?? this.#now, why: error.message };
        for (const asked of this.#asked.values()) {
          asked.heard = asked.doubted ?? asked.heard;
          asked.doubted = undefined;
        }
        this.#changed();
      })
      .finally(() => {
        this.#connecting = undefined;
        this.#connectedAt = clock.now();
      });
    return this.#connecting;
  }

  /** @throws {Error} if the API server does not answer */
  async #find(): Promise<void> {
    const { connect, missing, clock } = this.#options;
    const began = clock.now();
    const processes = await connect(this.#processes);
    this.#foundAt = began;
    this.#outage = undefined;
    this.#use(processes);
    this.#missing = await missing(processes);
    this.#changed();
  }

  /** Whether the API server answers, through which all processes are asked: if it does not, their silence says nothing about them. */
  async #isApiThere(): Promise<boolean> {
    if (this.#connecting !== undefined || this.#options.clock.now() - this.#connectedAt >= leastConnectMs) await this.#connect();
    return this.#outage === undefined;
  }

  get #now(): string {
    return this.#options.date().toISOString();
  }

  #use(processes: Processes): void {
    this.#processes = processes;
    const there = new Set(processes.targets.map(({ pod }) => pod));
    for (const [pod, asked] of this.#asked) {
      if (there.has(pod)) continue;
      asked.next?.[Symbol.dispose]();
      this.#asked.delete(pod);
    }
    for (const target of processes.targets) {
      const known = this.#asked.get(target.pod);
      const asked = {
        target,
        heard: { target },
        answeredAt: undefined,
        since: undefined,
        isDone: false,
        next: undefined,
        doubted: undefined,
      };
      if (known === undefined) this.#asked.set(target.pod, asked);
      else known.heard = Object.assign({}, known.heard, { target });
      if (known === undefined) void this.#ask(asked);
    }
    this.#changed();
  }

  async #ask(asked: FollowedProcess): Promise<void> {
    asked.next = undefined;
    const turns = asked.heard.silentSince === undefined ? this.#turns.others : this.#turns.silent;
    const { clock } = this.#options;
    const end = await turns.begin(clock);
    const isGone = () => this.#stopped || this.#asked.get(asked.target.pod) !== asked;
    if (isGone()) return end();
    const start = clock.now();
    asked.since = start;
    try {
      await this.#round(asked);
      asked.answeredAt = this.#now;
      asked.doubted = undefined;
    } catch (error) {
      const before = asked.doubted ?? asked.heard;
      const failedAt = clock.now();
      if (await this.#isApiThere()) {
        this.#isSilent(asked, (error as Error).message);
        asked.doubted = this.#foundAt < failedAt ? before : undefined;
      }
    }
    asked.since = undefined;
    asked.isDone = true;
    end();
    if (isGone()) return;
    this.#changed();
    const tookMs = clock.now() - start;
    const everyMs = Math.min(maxEveryMs, Math.max(this.#everyMs, asked.heard.problem === undefined ? restFactor * tookMs : 0));
    asked.next = clock.schedule(`ask ${asked.target.pod}`, start + everyMs, () => void this.#ask(asked));
  }

  /** The last answer of the process stays, with its date; a Pod that does not run has no answer. */
  #isSilent(asked: FollowedProcess, problem: string): void {
    const { target } = asked.heard;
    const known = target.notRunning === undefined ? asked.heard : { target };
    asked.heard = Object.assign({}, known, { problem, silentSince: asked.answeredAt ?? this.#now });
    if (this.#listing === target.pod) this.#replaceListing();
  }

  get #everyMs(): Millis {
    return Math.max(leastEveryMs, perProcessMs * this.#asked.size);
  }

  /** All questions to one process. @throws {Error} for the first that is not answered, where it answers none */
  async #round(asked: FollowedProcess): Promise<void> {
    const { target } = asked.heard;
    if (target.notRunning !== undefined) throw new Error(target.notRunning);
    const problems: string[] = [];
    let answers = 0;
    const get = async <T>(path: string): Promise<T | undefined> => {
      try {
        const body = checkedAnswer(target.program, path, await this.#current.get(target, path));
        answers++;
        return body as T;
      } catch (error) {
        if (answers === 0 && !isOtherVersion((error as Error).message)) throw error;
        problems.push((error as Error).message);
        return undefined;
      }
    };
    const isController = target.program === "controller";
    const isListing = !isController && this.#isToList(asked);
    const verdicts = await get<Heard["verdicts"]>("/v1/verdicts?service=-"); // No Service has this name: all else is what is asked for.
    const hasPeers = !isController && verdicts?.verdicts.some(({ kind }) => kind === "peer") === true;
    const controllerServices = isController ? await get<Heard["controllerServices"]>("/v1/services") : undefined;
    const path = isListing ? "/v1/services" : "/v1/services?problems&own";
    const speakerServices = isController ? undefined : await get<SpeakerServices>(path);
    const listed = isListing && speakerServices !== undefined ? { target, body: speakerServices } : undefined;
    const isWhole = listed !== undefined && !isStarting(listed);
    if (isWhole) this.#whole = listed;
    asked.heard = {
      target: asked.heard.target,
      verdicts,
      controllerServices,
      problemServices: isWhole ? undefined : speakerServices,
      pools: await get("/v1/pools"),
      configuration: await get("/v1/configuration"),
      members: isController ? undefined : await get("/v1/members"),
      conflicts: isController ? undefined : await get("/v1/conflicts"),
      handovers: isController ? undefined : await get("/v1/handovers"),
      peers: hasPeers ? await get("/v1/bgp/peers") : undefined,
      bfd: hasPeers ? await get("/v1/bfd/sessions") : undefined,
      problem: problems[0],
      silentSince: undefined,
    };
    if (isListing && !isWhole) this.#replaceListing();
    const { problemServices } = asked.heard;
    if (problemServices !== undefined && this.#whole !== undefined && knowsMore({ target, body: problemServices }, this.#whole))
      this.#listing = target.pod; // From its next round on.
  }

  /** One speaker is asked for all Services: the others would say the same. */
  #isToList(asked: FollowedProcess): boolean {
    const listing = this.#listing === undefined ? undefined : this.#asked.get(this.#listing);
    const now = this.#options.clock.now();
    const isSilent = listing !== undefined && listing !== asked && listing.since !== undefined && now - listing.since > silentMs;
    const { problem, problemServices: body } = asked.heard;
    const isUseful = problem === undefined && (body === undefined || !isStarting({ target: asked.target, body }));
    if (isUseful && (listing === undefined || isSilent)) this.#listing = asked.target.pod;
    return this.#listing === asked.target.pod;
  }

  /** The one that listed all Services is lost, or is starting: another is asked at once. */
  #replaceListing(): void {
    this.#listing = undefined;
    const another = [...this.#asked.values()].find(
      ({ target, heard, next }) => target.program === "speaker" && heard.problem === undefined && next !== undefined,
    );
    if (another === undefined) return;
    another.next?.[Symbol.dispose]();
    void this.#ask(another);
  }

  #changed(): void {
    const { clock } = this.#options;
    this.#settle ??= clock.schedule("make a model", clock.now() + this.#settleMs, () => {
      const start = clock.now();
      this.#settle = undefined;
      this.#publish();
      this.#settleMs = Math.max(settleMs, restFactor * (clock.now() - start));
    });
  }

  #publish(): void {
    const before = this.#model;
    const heard = [...this.#asked.values()].map((one) => one.heard);
    const about = { namespace: this.#options.namespace, now: this.#now, missing: this.#missing };
    const built = buildModel(before, heard, this.#whole, about);
    const isComplete = this.#asked.values().every(({ isDone }) => isDone);
    // Objects that exist at the beginning are no events.
    const row = this.#about(isComplete);
    const now = Object.assign({}, built, { about: keepRows(before.about, [row]) });
    const found = this.#wasComplete ? eventsBetween(before, now, this.#now) : [];
    this.#wasComplete = row.isComplete;
    const { events, last } = withEvents(before.events, found, this.#lastEvent);
    this.#lastEvent = last;
    this.#model = this.#sample(Object.assign({}, now, { events }));
    this.#listener(this.#model);
  }

  /** Answers come all the time, so that a value is late by a round at most. */
  #sample(model: Model): Model {
    const { clock } = this.#options;
    if (!this.#wasComplete || clock.now() - this.#sampledAt < sampleMs) return model;
    const trends = withSample(model.trends, this.#sampled, model);
    this.#sampled = model;
    this.#sampledAt = clock.now();
    return Object.assign({}, model, { trends });
  }

  #about(isComplete: boolean): AboutRow {
    const { cluster } = this.#options;
    return {
      id: "about",
      cluster,
      isComplete: this.#wasComplete || isComplete,
      everyMs: this.#everyMs,
      startedAt: this.#startedAt,
      outage: this.#outage,
      silence: this.#silence,
    };
  }

  get #silence(): Outage | undefined {
    const running = [...this.#asked.values()].filter(
      ({ target: { program, notRunning } }) => program === "speaker" && notRunning === undefined,
    );
    const silent = running.flatMap(({ heard: { silentSince: since, problem: why } }) =>
      since === undefined || why === undefined ? [] : [{ since, why }],
    );
    if (silent.length < running.length) return undefined;
    return silent.reduce<Outage | undefined>(
      (last, one) => (last === undefined || one.since > last.since ? one : last),
      undefined,
    );
  }
}

/** So many have a turn at a time, besides those that take long; the others wait. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #running = new Set<Disposable>();

  /** @returns what ends the turn, where it has not passed to another yet */
  async begin(clock: Clock): Promise<() => void> {
    if (this.#running.size >= atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const turn: Disposable = clock.schedule("pass on a turn", clock.now() + turnMs, () => this.#end(turn));
    this.#running.add(turn);
    return () => this.#end(turn);
  }

  #end(turn: Disposable): void {
    turn[Symbol.dispose]();
    if (this.#running.delete(turn)) this.#waiting.shift()?.();
  }
}
