import type { Millis, Random } from "#pkg/clock";
import type { Effect, PathVerdict } from "../ring/events.ts";
import { indexOf, nameOf } from "./simulated-addresses.ts";
import type { Simulation } from "./simulation.ts";

/** Packets that are missed in a row before a path is down, and that have to arrive before one is up. */
const detectMultiplier = 3;
const upAfter: Millis = 2_000;

interface SimulatedPath {
  verdict: PathVerdict;
  heardAt: Millis;
  /** From when packets have arrived without a gap. */
  heardSince: Millis;
}

/**
 * BFD between the members of a simulated ring, as the ring asks for it: a packet each way in every interval, lost as the ring's packets are. A
 * process that stands still sends none, and finds at its end that it has heard nobody.
 */
export class SimulatedPaths {
  readonly #ring: Simulation;
  readonly #intervalMs: Millis;
  readonly #random: Random;
  readonly #watched = new Map<number, Map<number, SimulatedPath>>(); // node -> another -> the path

  constructor(ring: Simulation, intervalMs: Millis, random: Random) {
    this.#ring = ring;
    this.#intervalMs = intervalMs;
    this.#random = random;
    ring.schedule(ring.now, () => this.#tick());
  }

  /** Takes the effects of all nodes. */
  onEffect(node: number, effect: Effect): void {
    if (effect.type !== "watchPaths") return;
    const before = this.#watched.get(node);
    const fresh = (): SimulatedPath => ({ verdict: "unknown", heardAt: -Infinity, heardSince: Infinity });
    const wanted = effect.members.map((member) => indexOf(member.node));
    this.#watched.set(node, new Map(wanted.map((other) => [other, before?.get(other) ?? fresh()])));
  }

  /** The verdict of a node on its path to another; undefined where it keeps none. */
  verdict(node: number, other: number): PathVerdict | undefined {
    return this.#watched.get(node)?.get(other)?.verdict;
  }

  /** The nodes to which a node keeps paths. */
  watchedBy(node: number): readonly number[] {
    return [...(this.#watched.get(node)?.keys() ?? [])];
  }

  #tick(): void {
    const ring = this.#ring;
    const { now } = ring;
    const running = new Set(ring.running);
    for (const node of this.#watched.keys()) if (!running.has(node)) this.#watched.delete(node); // Another life begins without any.
    for (const [node, paths] of this.#watched)
      for (const [other, path] of paths) {
        const isSent = ring.isAwake(other) && this.#watched.get(other)?.has(node) && ring.reaches(other, node);
        if (!isSent || this.#random() < ring.conditions.loss) continue;
        if (now - path.heardAt > detectMultiplier * this.#intervalMs) path.heardSince = now;
        path.heardAt = now;
      }
    for (const [node, paths] of this.#watched)
      if (ring.isAwake(node)) for (const [other, path] of [...paths]) this.#judge(node, other, path);
    ring.schedule(now + this.#intervalMs * (0.75 + 0.25 * this.#random()), () => this.#tick());
  }

  #judge(node: number, other: number, path: SimulatedPath): void {
    const { now } = this.#ring;
    const isHeard = now - path.heardAt <= detectMultiplier * this.#intervalMs;
    const verdict = isHeard
      ? now - path.heardSince >= upAfter
        ? "up"
        : path.verdict
      : path.verdict === "up"
        ? "down"
        : path.verdict;
    if (verdict === path.verdict) return;
    path.verdict = verdict;
    this.#ring.happen(node, { type: "path", node: nameOf(other), verdict });
  }
}
