import type { Millis, Random } from "#pkg/clock";
import { macBytes, parseMac } from "#pkg/net";
import type { Time } from "../simulated-process.ts";

/** The part of a LAN that an attacker is in: all its frames pass the attacker. */
export interface Wire {
  /** The addresses that speakers answer or look out for. */
  addresses(): Iterable<string>;
  macOf(node: number): string;
  /** Whether a frame passes between two nodes, or a host beside the one and the other. */
  connects(node: number, other: number): boolean;
  /** Speakers that watch the address see this frame, if they are in the same part of the LAN as this node. */
  forge(at: number, address: string, mac: string, kind: "announces" | "uses"): void;
  /** The frame arrives at whom it names there. */
  deliver(at: number, frame: Uint8Array): void;
}

export interface AttackerOptions {
  readonly wire: Wire;
  readonly time: Time;
  readonly random: Random;
}

const everyMs: Millis = 1000 / 7;
const maxCaptured = 50;
const macLength = 6;

/**
 * Sends in the names of nodes that are alive, suspected, dead or back: seven frames a second for each address, and answers to probes. Of challenges
 * and proofs, which it cannot make, it sends again what it has captured, to others too, and in other names, and holds back what it likes.
 */
export class Attacker {
  readonly #options: AttackerOptions;
  readonly #captured: Uint8Array[] = [];
  #at = 0;
  #nodes: readonly number[] = [];
  #holdMs: Millis = 0;
  #rounds = 0;

  constructor(options: AttackerOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#nodes.length > 0;
  }

  /**
   * @param nodes in whose names it sends
   * @param at the node beside which it is, where the LAN is cut
   * @param holdMs how long it holds back each challenge and proof at most
   */
  start(nodes: readonly number[], at: number, holdMs: Millis): void {
    const isFirst = !this.isActive;
    this.#at = at;
    this.#nodes = nodes;
    this.#holdMs = holdMs;
    if (isFirst && this.isActive) this.#round();
  }

  stop(): void {
    this.#nodes = [];
    this.#holdMs = 0;
  }

  /** Whether it answers a node that probes this MAC address. */
  answers(by: number, mac: string): boolean {
    const { wire } = this.#options;
    return this.#nodes.some((node) => wire.macOf(node) === mac) && wire.connects(by, this.#at);
  }

  /** A node sends a challenge or a proof. @returns for how long it holds that back */
  sees(by: number, frame: Uint8Array): Millis {
    const { random, wire } = this.#options;
    if (!wire.connects(by, this.#at)) return 0;
    this.#captured.push(frame);
    if (this.#captured.length > maxCaptured) this.#captured.shift();
    if (!this.isActive) return 0;
    for (let i = 0; i < 3; i++) this.#replay();
    return random() * this.#holdMs;
  }

  #round(): void {
    const { wire, time } = this.#options;
    if (!this.isActive) return;
    this.#rounds++;
    for (const address of wire.addresses())
      for (const node of this.#nodes)
        wire.forge(this.#at, address, wire.macOf(node), this.#rounds % 7 === 0 ? "announces" : "uses");
    this.#replay();
    time.schedule(time.now + everyMs, () => this.#round());
  }

  /** Sends what it has captured once more: as it was, from another node, to another node, or with the nonce or the tag of another one. */
  #replay(): void {
    const { wire, random } = this.#options;
    const any = () => this.#captured[Math.floor(random() * this.#captured.length)]?.slice();
    const [frame, other] = [any(), any()];
    if (frame === undefined || other === undefined) return;
    const node = this.#nodes[Math.floor(random() * this.#nodes.length)] ?? 0;
    const mac = macBytes(parseMac(wire.macOf(node)) ?? 0);
    const changes = [
      () => {},
      () => frame.set(mac, macLength),
      () => frame.set(mac),
      () => frame.set(other.subarray(22, 38), 22),
      () => frame.set(other.subarray(54), 54),
      () => frame.set([...frame.subarray(macLength, 2 * macLength), ...frame.subarray(0, macLength)]),
    ];
    changes[Math.floor(random() * changes.length)]?.();
    wire.deliver(this.#at, frame);
  }
}
