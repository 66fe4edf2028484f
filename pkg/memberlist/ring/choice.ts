import type { Random } from "#pkg/clock";
import { fnv1a } from "#pkg/text";
import type { NodeName } from "../codec/messages.ts";

/** A whole number in [0, below). */
export function randomIndex(random: Random, below: number): number {
  return Math.floor(random() * below);
}

export function shuffle<T>(items: T[], random: Random): void {
  for (let i = items.length - 1; i > 0; i--) swap(items, i, randomIndex(random, i + 1));
}

export function swap<T>(items: T[], i: number, j: number): void {
  [items[i], items[j]] = [items[j] as T, items[i] as T];
}

/**
 * Up to `count` distinct items. Among few, all that are eligible are found. Among many they are drawn, so that a choice from a
 * thousand does not cost a thousand steps; up to 3 times as often as there are items, so that rare ones are mostly found too.
 */
export function chooseRandom<T>(items: readonly T[], count: number, eligible: (item: T) => boolean, random: Random): T[] {
  const few = items.length < 64;
  const candidates = few ? [...items] : items;
  if (few) shuffle(candidates as T[], random);
  const chosen: T[] = [];
  for (let i = 0; i < (few ? candidates.length : 3 * candidates.length) && chosen.length < count; i++) {
    const candidate = candidates[few ? i : randomIndex(random, candidates.length)] as T;
    if (eligible(candidate) && !chosen.includes(candidate)) chosen.push(candidate);
  }
  return chosen;
}

/**
 * Where a node stands among all: 32 bits of a hash (FNV-1a, mixed once more), so that nodes of one rack, which have similar names and
 * often fail together, are not one another's neighbors. All members must agree on it.
 */
export function placeOf(node: NodeName): number {
  let hash = fnv1a(node);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
