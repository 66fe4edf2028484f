import type { Millis } from "#pkg/clock";
import type { Dead, NodeName, Suspect } from "../codec/messages.ts";
import type { PathVerdict } from "./events.ts";
import { mergeDead, mergeSuspect } from "./merging.ts";
import { isMember, type NodeRecord } from "./node-record.ts";
import type { Path } from "./path-state.ts";
import { rankOf, watchedBy, witnessesOf } from "./paths.ts";
import type { Ring } from "./ring.ts";
import { sendToNode } from "./sending.ts";

/** From a path's failure until the node may be dead: what is alive answers an accusation in a tenth of that, by another thread. */
const answerTime: Millis = 10;
/** Between the moments at which the members beside a node judge it: the first tells all others, who then have nothing to say. */
const judgesApart: Millis = 3;
/** A path that flaps may be a forger's work: each accusation costs the whole ring packets. The ring alone finds what fails meanwhile. */
const accuseEvery: Millis = 1_000;
/** Members that are told of a death directly. In larger rings gossip tells the rest. */
const maxToldDirectly = 64;

/** A path has another verdict. */
export function pathChanged(ring: Ring, node: NodeName, verdict: PathVerdict, now: Millis): void {
  const path = ring.paths.watched.get(node);
  const record = ring.records.get(node);
  if (path === undefined || path.verdict === verdict) return;
  path.verdict = verdict;
  path.judgeAt = Infinity;
  if (verdict !== "down" || record === undefined || !isMember(record) || now < path.accusedAt + accuseEvery) return;
  path.accusedAt = now;
  path.judgeAt = now + answerTime + judgesApart * rankOf(ring, record);
  path.hasHadTime = false;
  const suspect: Suspect = { type: "suspect", node, incarnation: record.incarnation, from: ring.self.node };
  for (const witness of witnessesOf(ring, record)) sendToNode(ring, witness, [suspect]);
  sendToNode(ring, record, [suspect]); // Also where it is suspected already: its answer may be lost.
  mergeSuspect(ring, suspect, now, "witnesses");
}

/** Declares dead whose paths are down, where all that keep one say so. */
export function judgePaths(ring: Ring, now: Millis): void {
  for (const [node, path] of ring.paths.watched) {
    if (now < path.judgeAt) continue;
    const record = ring.records.get(node);
    if (record?.status !== "suspect") path.judgeAt = Infinity;
    else if (isAgreed(ring, path, record)) declareDead(ring, record, now);
    else {
      path.hasHadTime = true;
      path.judgeAt = now + answerTime;
    }
  }
}

function isAgreed(ring: Ring, { accusers }: Path, about: NodeRecord): boolean {
  const witnesses = witnessesOf(ring, about);
  // A node that hears none of several others is more likely to be cut off itself.
  if (witnesses.length === 0) return watchedBy(ring, ring.self).length === 1;
  return witnesses.every(({ node }) => accusers.get(node) === about.incarnation);
}

function declareDead(ring: Ring, record: NodeRecord, now: Millis): void {
  const { node, incarnation } = record;
  ring.counters.pathFailures++;
  const dead: Dead = { type: "dead", node, incarnation, from: ring.self.node };
  mergeDead(ring, dead, now);
  const others = ring.order.filter((other) => other !== ring.self && isMember(other));
  for (const other of [...others.slice(0, maxToldDirectly), record]) sendToNode(ring, other, [dead]); // It may live, and refutes then.
}
