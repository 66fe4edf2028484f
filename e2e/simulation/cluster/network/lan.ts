import type { Millis, Random } from "#pkg/clock";
import type { Simulation } from "#pkg/memberlist/testing";
import { getMac, parseAddress, parseMac } from "#pkg/net";
import type { Time } from "../simulated-process.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { Attacker } from "./attacker.ts";
import type { LanActions } from "./simulated-layer2.ts";

export interface LanConditionsOptions {
  readonly ring: Simulation;
  readonly time: Time;
  readonly random: Random;
}

/** Effects of a LAN on every frame. */
export class LanConditions {
  readonly #options: LanConditionsOptions;
  readonly #calm: Simulation["conditions"];
  #delayMs: Millis = 0;
  #duplication = 0;
  /** Frames are late, or come twice. */
  isDisturbed = false;

  constructor(options: LanConditionsOptions) {
    this.#options = options;
    this.#calm = options.ring.conditions;
  }

  /** @param delayMs of a frame at most, each its own, so that they overtake one another @param duplication how many come twice, of 1 */
  set(delayMs: Millis, duplication: number): void {
    this.#delayMs = delayMs;
    this.#duplication = duplication;
    this.isDisturbed = delayMs > 0 || duplication > 0;
    const { latency, jitter } = this.#calm;
    // Streams have only the latency: what they carry stays in order.
    const slower = { latency: latency + delayMs / 4, jitter: jitter + (3 * delayMs) / 4, duplication };
    this.#options.ring.conditions = { ...this.#calm, ...slower };
  }

  /** How late a frame is on average. */
  get meanDelayMs(): Millis {
    return this.#delayMs / 2;
  }

  /** Lets a frame arrive, maybe twice. @param latency what it takes in any case */
  carry(receive: () => void, latency: Millis): void {
    const { time, random } = this.#options;
    const copies = this.#duplication > 0 && random() < this.#duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      time.schedule(time.now + latency + (this.#delayMs > 0 ? random() * this.#delayMs : 0), receive);
  }
}

// At once, then every 1.1 s for 5 s.
const announcements = 5;
const announceEveryMs: Millis = 1_100;
const foreignEveryMs: Millis = 5_000;

export interface LanOptions extends LanConditionsOptions {
  readonly conditions: LanConditions;
  /** Node -> its speaker, ended ones too. */
  readonly speakers: ReadonlyMap<number, SpeakerProcess>;
  readonly withoutCarrier: ReadonlySet<number>;
  /** The addresses that a node answers for. */
  readonly answered: (node: number) => ReadonlySet<string>;
  readonly macOf: (node: number) => string;
  /** Called with each gratuitous announcement of a node. */
  readonly onAnnounced: (node: number, address: string) => void;
}

/** The LAN of the nodes, as far as ARP, NDP, challenges and proofs go, and the hosts without a speaker on it. */
export class Lan {
  readonly attacker: Attacker;
  /** Cuts drop IP alone: all other frames pass. */
  isWhole = false;
  readonly #options: LanOptions;
  readonly #foreign = new Set<string>(); // addresses that a host without a speaker uses

  constructor(options: LanOptions) {
    this.#options = options;
    const { speakers, macOf, time, random } = options;
    const wire = {
      addresses: () => new Set([...speakers.values()].flatMap(({ layer2 }) => [...layer2.announced, ...layer2.watched])),
      macOf,
      connects: (node: number, other: number) => this.#connects(node, other),
      forge: (at: number, address: string, mac: string, kind: "announces" | "uses") => {
        for (const [node, speaker] of speakers)
          if (speaker.mac !== mac && this.#cares(node, address) && this.#connects(at, node)) this.#show(node, address, mac, kind);
      },
      deliver: (at: number, frame: Uint8Array) => this.#deliver(frame, 0, (to) => this.#connects(at, to)),
    };
    this.attacker = new Attacker({ wire, time, random });
  }

  /** Actions of a node's speaker on it. */
  actionsOf(node: number): LanActions {
    return {
      announce: (address) => this.#burst(node, address, announcements),
      defend: (address) => this.#announced(node, address),
      probe: (address, to) => this.#probed(node, address, to),
      send: (frame) => this.#deliver(frame, this.attacker.sees(node, frame), (to) => this.passes(node, to)),
    };
  }

  /** A host without a speaker answers for the address too, and says so now and then, as one does that was given it by mistake. */
  startForeignHost(address: string): void {
    const { speakers, time } = this.#options;
    if (this.#foreign.has(address)) return;
    this.#foreign.add(address);
    const announce = () => {
      if (!this.#foreign.has(address)) return;
      for (const node of speakers.keys()) if (this.#cares(node, address)) this.#seeForeign(node, address, "announces");
      time.schedule(time.now + foreignEveryMs, announce);
    };
    announce();
  }

  endForeignHost(address: string): void {
    this.#foreign.delete(address);
  }

  /** The addresses that hosts without a speaker use. */
  get foreign(): ReadonlySet<string> {
    return this.#foreign;
  }

  /** As `pkg/layer2/engine/schedules.ts` sends them, while the speaker runs and announces the address. */
  #burst(from: number, address: string, left: number): void {
    const { time, speakers } = this.#options;
    const speaker = speakers.get(from);
    if (left === 0 || !speaker?.process.isRunning || !speaker.announced.has(address)) return;
    this.#announced(from, address);
    time.schedule(time.now + announceEveryMs, () => this.#burst(from, address, left - 1));
  }

  /** Everybody who watches the address, or answers for it, sees a gratuitous announcement. */
  #announced(from: number, address: string): void {
    this.#options.onAnnounced(from, address);
    for (const node of this.#options.speakers.keys())
      if (node !== from && this.#cares(node, address)) this.#frame(from, node, address, "announces");
  }

  /** Every host that answers for the address says so. */
  #probed(by: number, address: string, to: string | undefined): void {
    const { speakers, answered } = this.#options;
    if (to !== undefined && this.attacker.answers(by, to)) this.#show(by, address, to, "uses");
    if (this.#foreign.has(address) && (to === undefined || to === foreignMacOf(address))) this.#seeForeign(by, address, "uses");
    for (const [node, speaker] of speakers)
      if (node !== by && answered(node).has(address) && (to === undefined || to === speaker.mac))
        if (this.passes(by, node)) this.#frame(node, by, address, "uses");
  }

  #seeForeign(to: number, address: string, kind: "announces" | "uses"): void {
    if (!this.#options.withoutCarrier.has(to)) this.#show(to, address, foreignMacOf(address), kind);
  }

  #frame(from: number, to: number, address: string, kind: "announces" | "uses"): void {
    if (this.passes(from, to)) this.#show(to, address, this.#options.macOf(from), kind);
  }

  #show(to: number, text: string, mac: string, kind: "announces" | "uses"): void {
    const { conditions, speakers, random } = this.#options;
    const address = parseAddress(text);
    if (address !== undefined) conditions.carry(() => speakers.get(to)?.see({ address, mac, kind }), random());
  }

  #cares(node: number, address: string): boolean {
    const { announced, watched } = this.#options.speakers.get(node)?.layer2 ?? {};
    return announced?.has(address) === true || watched?.has(address) === true;
  }

  /** A challenge or a proof comes to whom it names, if it gets there. */
  #deliver(frame: Uint8Array, after: Millis, passes: (to: number) => boolean): void {
    const { conditions, speakers, random } = this.#options;
    const destination = getMac(new DataView(frame.buffer, frame.byteOffset), 0);
    for (const [to, { mac }] of speakers)
      if (parseMac(mac) === destination && !this.#options.withoutCarrier.has(to) && passes(to))
        conditions.carry(() => speakers.get(to)?.layer2.receive(frame), after + random());
  }

  #connects(from: number, to: number): boolean {
    return this.isWhole || this.#options.ring.reaches(from, to);
  }

  /** Whether what one node sends on the LAN gets to the other. */
  passes(from: number, to: number): boolean {
    const { withoutCarrier } = this.#options;
    return this.#connects(from, to) && !withoutCarrier.has(from) && !withoutCarrier.has(to);
  }
}

/** MAC address of the host without a speaker that uses an address: each such host has one address. */
function foreignMacOf(address: string): string {
  const last = Number.parseInt(address.split(/[.:]/).at(-1) || "0", address.includes(":") ? 16 : 10);
  return `02:00:00:00:${address.includes(":") ? "fe" : "ff"}:${last.toString(16).padStart(2, "0")}`;
}
