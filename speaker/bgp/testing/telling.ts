import { setImmediate } from "node:timers/promises";
import { ModelRouter, type ModelSettings, SimulatedNetwork, Stall } from "#pkg/bgp/testing";
import type { Millis } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import type { NodeInterfaces } from "./node-interfaces.ts";
import { maxAwayMs, RouteJudge } from "./route-judge.ts";
import type { Act, Story } from "./story.ts";
import { bfdProfiles, own, ownCidrs, routerAddresses, routerDefaults, StoryPeers } from "./story-peers.ts";
import { StoryProcess, type StoryWorld } from "./story-process.ts";

const ofSurroundings = ["annotation", "gateway", "found", "renumber"] as const;

/** The speaker's own work, which waits while it stands still. */
const ownActs: ReadonlySet<Act["type"]> = new Set(["peer", "removePeer", "secret", "drain", "routes", "ipv6", ...ofSurroundings]);

/** After these a session may begin again, with other settings that were configured before. */
const roughActs: ReadonlySet<Act["type"]> = new Set([
  ...(["peer", "removePeer", "secret", "router", "notify", "restart"] as const),
  ...ofSurroundings,
]);

const lookEveryMs: Millis = 5_000;

/** What was lost for a while is sent again within so long. */
const maxRepeatMs: Millis = 60_000;

type Restart = Extract<Act, { type: "restart" }>;

/** A speaker with real sessions and routers of the model, through all acts of a story. */
export class Telling {
  readonly #clock = new SimulatedClock(1_000_000);
  readonly transcript: string[] = [];
  readonly #problems: string[] = [];
  readonly #story: Story;
  readonly #interfaces: NodeInterfaces;
  readonly #stall = new Stall(this.#clock);
  readonly #peers = new StoryPeers();
  readonly #networks: readonly SimulatedNetwork[];
  readonly #routers: readonly ModelRouter[];
  readonly #world: StoryWorld;
  readonly #judge: RouteJudge;
  #process: StoryProcess | undefined;
  /** The process that begins next, or has begun. */
  #next: Omit<Restart, "at" | "type" | "how" | "awayMs"> = { forwardingPreserved: true, lateMs: 0 };
  #stalledUntil: Millis = 0;
  readonly #brokenAt = routerAddresses.map((): Millis => -Infinity);
  #actsUntil: Millis = 0;
  readonly #silentUntil = routerAddresses.map((): Millis => 0);
  /** How many acts there were after which `isRough` is set, by router. */
  readonly #roughActs = routerAddresses.map(() => 0);
  readonly #silentSince = routerAddresses.map((): Millis => 0);
  /** When the last process ended. */
  #endedAt: Millis = 0;
  /** Since when a session has to wait for BFD, by router. */
  readonly #strictSince = routerAddresses.map((): Millis => Infinity);

  /** @param interfaces those of this node, for as long as the story is told */
  constructor(story: Story, interfaces: NodeInterfaces) {
    this.#story = story;
    this.#interfaces = interfaces;
    const random = seededRandom(story.seed + 7);
    const latency = () => 1 + Math.floor(random() * story.latency);
    this.#networks = routerAddresses.map(() => new SimulatedNetwork(this.#clock, undefined, latency));
    this.#routers = routerAddresses.map((routerAddress, index) => {
      const network = this.#networks[index] as SimulatedNetwork;
      const take = this.#stall.accepting((incoming) => {
        const accept = this.#process?.accepts(routerAddress);
        if (accept === undefined) incoming.open({ connected() {}, received() {}, closed() {} }).destroy();
        else accept(incoming);
      });
      network.listener(own).expect(null as never, take);
      return new ModelRouter(
        {
          clock: this.#clock,
          random,
          network,
          own: routerAddress,
          neighbor: own,
          hasSameKey: () => this.#peers.passwordOf(index) === this.#routers[index]?.settings.password,
          onRemoved: (route, why) => this.#judge.removed(index, route, why),
          onViolation: (what) => this.#fault(`router ${index}: ${what}`),
          onEvent: (what) => this.#heard(index, what),
        },
        { ...routerDefaults, routerId: routerAddress },
      );
    });
    const nowhere = new SimulatedNetwork(this.#clock);
    nowhere.silent = true;
    this.#world = {
      clock: this.#clock,
      stall: this.#stall,
      random,
      networks: this.#networks,
      nowhere,
      routers: this.#routers,
      peers: this.#peers,
      hasIpv6: true,
      brokenAt: this.#brokenAt,
      say: (what) => this.#say(what),
      fault: (what) => this.#fault(what),
    };
    this.#judge = new RouteJudge(this.#world, () => this.#process);
  }

  /** @returns what went wrong first */
  async run(): Promise<string | undefined> {
    await this.#interfaces.set(ownCidrs);
    for (let router = 0; router < this.#story.routers; router++) {
      this.#routers[router]?.start(false);
      this.#peers.set(router, {});
    }
    this.#begin();
    this.#lookAgain();
    await this.#passTo(this.#clock.now() + 5_000);
    const from = this.#clock.now();
    for (const act of this.#story.acts) {
      await this.#passTo(from + act.at);
      this.#say(JSON.stringify(act));
      await this.#do(act);
      if (this.#problems.length > 0) return this.#over();
    }
    if (this.#stalledUntil > this.#clock.now()) await this.#passTo(this.#stalledUntil);
    this.#say("all is healed");
    await this.#heal();
    await this.#passTo(this.#clock.now() + maxAwayMs);
    for (let index = 0; index < this.#story.routers; index++) this.#judge.judge(index);
    return this.#over();
  }

  #over(): string | undefined {
    this.#process?.kill();
    return this.#problems[0];
  }

  #heard(index: number, what: string): void {
    this.#say(`router ${index} ${what}`);
    // It took a session for established that this side had lost without its knowledge.
    if (what === "sends 4/0") this.#judge.disturb(index, this.#clock.now());
    if (what.startsWith("the neighbor restarted") && this.#clock.now() - this.#actsUntil > maxAwayMs / 2)
      this.#fault(`router ${index} takes the speaker for one that restarted`);
    if (!what.startsWith("established")) return;
    const process = this.#process;
    const { established } = this.#routers[index] ?? {};
    const acts = this.#roughActs[index];
    this.#clock.schedule("known", this.#clock.now() + 1_000, () => {
      if (established === undefined || this.#routers[index]?.established !== established) return;
      process?.known.add(index);
      // This side has it, too: it may have chosen another connection, which the router has ended.
      if (process?.hasSession(index) && this.#roughActs[index] === acts) this.#judge.isRough[index] = false;
    });
    this.#judge.disturb(index, this.#clock.now()); // Routes follow.
    // This side has seen the path fail by then, and has ended what was under way.
    const tolerated = this.#clock.now() - 10_000;
    const { isTwice, other } = this.#peers.get(index) ?? {};
    const mayBeOther = isTwice !== undefined && other?.bfdStrict === false;
    const isStrict = !mayBeOther && Math.max(this.#strictSince[index] ?? Infinity, this.#stalledUntil) < tolerated;
    if (isStrict && process !== undefined && (process.pathUpAt[index] ?? 0) < tolerated)
      this.#fault(`router ${index} has a strict session without BFD`);
  }

  #say(what: string): void {
    this.transcript.push(`${(this.#clock.now() - 1_000_000) / 1000} ${what}`);
  }

  #fault(what: string): void {
    this.#say(`FAULT ${what}`);
    this.#problems.push(what);
  }

  async #passTo(at: Millis): Promise<void> {
    if (at < this.#clock.now()) return;
    let isOver = false;
    this.#clock.schedule("end of the wait", at, () => {
      isOver = true;
    });
    do {
      await setImmediate();
      if (this.#problems.length > 0) return;
    } while (this.#clock.advanceToNext() && !isOver);
  }

  #lookAgain(): void {
    for (let index = 0; index < this.#story.routers; index++) this.#judge.look(index);
    this.#clock.schedule("look", this.#clock.now() + lookEveryMs, () => this.#lookAgain());
  }

  async #do(act: Act): Promise<void> {
    const length = "ms" in act ? act.ms : "awayMs" in act ? act.awayMs : 0;
    this.#actsUntil = Math.max(this.#actsUntil, this.#clock.now() + length, this.#stalledUntil);
    if (ownActs.has(act.type)) await this.#passTo(this.#stalledUntil);
    const router = "router" in act ? act.router : undefined;
    const isBroken = !ownActs.has(act.type) || act.type === "renumber";
    for (const index of this.#routers.keys()) {
      if (router !== undefined && router !== index) continue;
      if (isBroken && (router !== undefined || act.type === "renumber")) this.#brokenAt[index] = this.#clock.now() + length;
      if (roughActs.has(act.type)) this.#roughen(index);
    }
    this.#judge.disturb(router, this.#clock.now() + length);
    switch (act.type) {
      case "peer": {
        const { bfdStrict } = act.fields;
        if ("reached" in act.fields || "source" in act.fields || bfdStrict) this.#mayEnd(act.router);
        this.#peers.set(act.router, act.fields);
        if (bfdStrict !== undefined) this.#strictSince[act.router] = bfdStrict ? this.#clock.now() : Infinity;
        this.#configure();
        break;
      }
      case "removePeer":
        this.#mayEnd(act.router);
        this.#strictSince[act.router] = Infinity;
        this.#peers.delete(act.router);
        this.#configure();
        break;
      case "annotation":
        this.#mayEnd(act.router);
        this.#peers.annotations[act.router] = act.value === "right" ? routerAddresses[act.router] : act.value;
        this.#configure();
        break;
      case "gateway":
        this.#mayEnd(act.router);
        this.#peers.hasRoute[act.router] = act.on;
        this.#configure();
        break;
      case "found":
        this.#mayEnd(act.router);
        this.#peers.isFound[act.router] = act.on;
        this.#process?.bgp.routersChanged();
        break;
      case "renumber":
        for (const index of this.#routers.keys()) {
          this.#mayEnd(index);
          this.#silence(index, act.ms);
        }
        await this.#setAddress(false);
        this.#clock.schedule("renumber", this.#clock.now() + act.ms, () => void this.#setAddress(true));
        break;
      case "secret":
        this.#peers.secret = act.value;
        this.#process?.bgp.secretsChanged();
        break;
      case "drain":
        this.#judge.isDraining = act.on;
        this.#configure();
        break;
      case "routes":
        for (const change of act.changes) this.#judge.tell(this.#judge.want(change));
        this.#process?.bgp.flush(true);
        break;
      case "restart":
        if (this.#process === undefined) break;
        this.#next = act;
        if (act.how === "crash") for (const index of this.#routers.keys()) this.#silence(index, act.awayMs);
        await this.#end(act.how);
        this.#clock.schedule("begin", this.#clock.now() + act.awayMs, () => this.#begin());
        break;
      case "stall":
        if (this.#stalledUntil > this.#clock.now()) break;
        this.#stalledUntil = this.#clock.now() + act.ms;
        this.#stall.standStill(act.ms);
        break;
      case "ipv6":
        this.#world.hasIpv6 = act.on;
        this.#process?.bgp.addressesChanged();
        break;
      case "router":
        this.#routers[act.router]?.configure(act.fields, act.says);
        break;
      case "routerRestart":
        this.#restartRouter(act);
        break;
      case "notify": {
        const router = this.#routers[act.router];
        // It then refuses this side for as long.
        const waits = router?.established !== undefined && act.code !== 6 ? router.settings.waitAfterError : 0;
        this.#judge.disturb(act.router, this.#clock.now() + waits);
        router?.notify(act.code, act.subcode);
        break;
      }
      case "tells":
        this.#routers[act.router]?.tell(act.shape, act.times);
        break;
      case "replace": {
        const router = this.#routers[act.router];
        this.#silence(act.router, act.awayMs);
        const settings = { ...routerDefaults, routerId: "192.0.2.222", bfd: router?.settings.bfd ?? false, ...act.fields };
        this.#clock.schedule("router", this.#clock.now() + act.awayMs, () => {
          if (this.#silentUntil[act.router] !== 0) router?.replace(settings); // Else all is healed.
        });
        this.#roughen(act.router);
        break;
      }
      case "refresh":
        this.#routers[act.router]?.refresh(act.family);
        break;
      case "break":
        if (act.dials) this.#routers[act.router]?.hurry();
        this.#networks[act.router]?.breakAll();
        break;
      case "freeze":
      case "silent":
        this.#silence(act.router, act.ms);
        break;
      default:
        act satisfies never;
    }
  }

  #roughen(router: number): void {
    this.#judge.isRough[router] = true;
    this.#roughActs[router] = (this.#roughActs[router] ?? 0) + 1;
  }

  /** This side may end its session with the router for good, as the configuration or its surroundings ask for. */
  #mayEnd(router: number): void {
    this.#judge.removedAt[router] = this.#clock.now();
    this.#process?.known.delete(router);
  }

  async #setAddress(isThere: boolean): Promise<void> {
    this.#peers.hasAddress = isThere;
    await this.#interfaces.set(isThere ? ownCidrs : []);
    if (this.#clock.now() >= this.#stalledUntil) this.#process?.bgp.addressesChanged();
    else this.#clock.schedule("late", this.#stalledUntil, () => this.#process?.bgp.addressesChanged());
  }

  #restartRouter({ router: index, awayMs, crash, keeps }: Extract<Act, { type: "routerRestart" }>): void {
    const network = this.#networks[index] as SimulatedNetwork;
    const router = this.#routers[index];
    if (!router?.runs) return;
    if (crash) this.#silence(index, awayMs);
    else {
      network.refused = true;
      router.stop(keeps && router.settings.gracefulRestart);
    }
    this.#clock.schedule("router", this.#clock.now() + awayMs, () => {
      network.refused = false;
      if (crash) router.stop(false);
      if (router.runs) return;
      router.start(keeps && !crash && router.settings.gracefulRestart);
      this.#say(`router ${index} runs again`);
    });
  }

  /** Nothing arrives for a while. */
  #silence(router: number, ms: Millis): void {
    const network = this.#networks[router] as SimulatedNetwork;
    const until = Math.max(this.#silentUntil[router] ?? 0, this.#clock.now() + ms);
    this.#silentUntil[router] = until;
    if (!network.silent) this.#silentSince[router] = this.#clock.now();
    network.silent = true;
    network.freeze(true);
    this.#clock.schedule("thaw", until, () => {
      if (this.#silentUntil[router] === until) this.#thaw(router, this.#world.random() * maxRepeatMs);
    });
  }

  /** The speaker's messages of meanwhile arrive. @param repeatMs when the kernel next sends the end of connections that a process left */
  #thaw(router: number, repeatMs: Millis): void {
    const network = this.#networks[router] as SimulatedNetwork;
    const [now, since, endedAt] = [this.#clock.now(), this.#silentSince[router] ?? 0, this.#endedAt];
    network.silent = false;
    network.freeze(false);
    this.#judge.heardAgain(router, since);
    if (endedAt < since) return;
    this.#judge.disturb(router, now + repeatMs);
    this.#clock.schedule("repeated", now + repeatMs, () => network.breakAll(endedAt));
  }

  #configure(): void {
    const { bgp } = this.#process ?? {};
    if (bgp === undefined) return;
    bgp.setPeers({
      peers: this.#peers.nodePeers(),
      bfdProfiles,
      isDraining: this.#judge.isDraining,
      isLeaving: false,
      whyRemoved: "removedFromConfig",
    });
    for (const prefix of this.#judge.prefixes) this.#judge.tell(prefix);
    bgp.flush(true);
  }

  #begin(): void {
    if (this.#process !== undefined) return;
    const { forwardingPreserved, lateMs } = this.#next;
    this.#process = new StoryProcess(this.#world, forwardingPreserved, lateMs);
    this.#judge.disturb(undefined, this.#clock.now() + lateMs);
    this.#say(`the speaker begins${forwardingPreserved ? "" : ", and forwarding was interrupted"}`);
    this.#configure();
  }

  async #end(how: Restart["how"]): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    if (how === "leaves" && this.#clock.now() >= this.#stalledUntil) {
      let isOver = false;
      for (const index of this.#routers.keys()) this.#judge.removedAt[index] = this.#clock.now() + 60_000;
      void process.bgp
        .leave()
        .then(() => process.bgp[Symbol.asyncDispose]())
        .then(() => {
          isOver = true;
        });
      const until = this.#clock.now() + 60_000;
      do await setImmediate();
      while (!isOver && this.#clock.now() < until && this.#clock.advanceToNext());
      if (!isOver) this.#fault("the speaker does not end");
    }
    process.kill();
    this.#process = undefined;
    this.#endedAt = this.#clock.now();
    for (const network of this.#networks) if (!network.silent) network.breakAll();
    this.#say("the speaker has ended");
  }

  async #heal(): Promise<void> {
    const peers = this.#peers;
    this.#begin();
    this.#judge.disturb(undefined, this.#clock.now());
    for (const [index, text] of routerAddresses.entries()) {
      peers.annotations[index] = text;
      peers.hasRoute[index] = true;
      peers.isFound[index] = true;
    }
    await this.#setAddress(true);
    this.#configure();
    this.#process?.bgp.routersChanged();
    for (const [index, network] of this.#networks.entries()) {
      network.refused = false;
      if (network.silent) this.#thaw(index, 0);
      this.#silentUntil[index] = 0;
      const router = this.#routers[index];
      if (index >= this.#story.routers || router === undefined) continue;
      if (!router.runs) router.start(false);
      const wanted = this.#judge.agreeing(index, router.settings);
      const changed = Object.entries(wanted).some(([key, value]) => router.settings[key as keyof ModelSettings] !== value);
      if (changed) router.configure(wanted, true);
    }
    if (peers.secret !== undefined) return;
    peers.secret = this.#routers.find((_, index) => peers.get(index)?.hasSecret)?.settings.password ?? "one";
    this.#process?.bgp.secretsChanged();
    for (const [index, router] of this.#routers.entries())
      if (peers.get(index)?.hasSecret && router.settings.password !== peers.secret)
        router.configure({ password: peers.secret }, true);
  }
}
