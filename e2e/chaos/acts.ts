import { describeFault, type Fault, isFault, type Timed } from "#e2e/faults";
import type { Impairment } from "#e2e/lab";
import type { Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";

/** Something that is done to the cluster, and is undone after `length`. */
export type Act = What & { readonly length: Millis };

/** Acts that are alike for every target. */
export type SharedWhat =
  | Extract<Fault, { readonly type: "cutOneWay" }>
  | { readonly type: "isolate" | "unplug" | "cutApi"; readonly node: number }
  /** Between two nodes alone. */
  | { readonly type: "cutPair"; readonly node: number; readonly other: number }
  /** Share of the ring's packets to the node that is lost, in percent. */
  | { readonly type: "lose"; readonly node: number; readonly percent: number }
  /** All frames of a node, in both directions. */
  | { readonly type: "impair"; readonly node: number; readonly impairment: Impairment }
  | { readonly type: "isolateControlPlane" | "killRouter" | "freezeRouter" }
  | { readonly type: "refusedConfiguration" | "otherConfiguration" | "moreServices" | "fillPool" | "rotateKey" }
  /** Somebody deletes what Ingot writes for itself: the controllers' Lease, or the ConfigMaps of its state. */
  | { readonly type: "deleteLease" | "deleteState" }
  /** An edit of objects, by its name in `harmlessEdits`. */
  | { readonly type: "edit"; readonly edit: string };

/** Edits for which no address may move, or be without an answer, on a real Kubernetes either: none takes back what others wrote. */
export const harmlessEdits: readonly string[] = [
  "labels of Services",
  "annotations of Services",
  "a sharing key that nobody else has",
  "session affinity",
  "source ranges",
  "internal policy",
  "a finalizer",
  "labels of nodes",
  "annotations of nodes",
  "labels of the namespace",
];

/** Acts that a target does in its own way, if it can. */
export type OwnWhat =
  | Exclude<Fault, { readonly type: "cutOneWay" }>
  /** This many threads of a speaker end, soon after one another; the speaker starts each again. */
  | { readonly type: "endThreads"; readonly node: number; readonly threads: number }
  /** The node has another address, subnet or link for a while, and its speaker may miss that. */
  | {
      readonly type: "renumber";
      readonly node: number;
      readonly how: Renumbering;
      readonly speaker: "runs" | "stands" | "killed";
    }
  /** The node's kernel forwards no packets, so that it cannot deliver to Pods. */
  | { readonly type: "breakPath"; readonly node: number }
  /** Its kube-proxy is killed, and the rules are flushed; its bridge of Pods is down. */
  | { readonly type: "flushRules" | "downBridge"; readonly node: number }
  | { readonly type: "otherControllerVersion"; readonly controller: number }
  /** The output of a speaker, or a controller, goes to a disk that is full from its start on. */
  | { readonly type: "fillDisk"; readonly node: number }
  | { readonly type: "fillControllerDisk"; readonly controller: number }
  | { readonly type: "setControllerClock"; readonly controller: number; readonly seconds: number }
  | { readonly type: "killKubelet" | "killContainerd" | "drain"; readonly node: number }
  | { readonly type: "killApiServer" | "killEtcd" }
  /** The Deployment behind the Services has another number of Pods. */
  | { readonly type: "scale"; readonly replicas: number };

export type What = SharedWhat | OwnWhat;

/**
 * How a node's own address is replaced: at once or in two steps, with all others, by itself with another length; or its link ends and begins, its NIC goes
 * and comes back as another one of that name, or a bridge over the NIC has the address.
 */
export const renumberings = ["addFirst", "deleteFirst", "apart", "flush", "mask", "bounce", "remade", "bridged"] as const;
export type Renumbering = (typeof renumberings)[number];

/** The subject of an act: of two acts on one subject, the second would undo the first. */
export function subjectOf(what: What): string {
  switch (what.type) {
    case "killController":
    case "stopController":
    case "stallController":
    case "cutControllerApi":
    case "fillControllerDisk":
    case "otherControllerVersion":
      return `controller${what.controller + 1}`;
    case "setControllerClock":
      return `clock of controller${what.controller + 1}`;
    case "setClock":
      return `clock of node${what.node + 1}`;
    case "killRouter":
    case "freezeRouter":
      return "router";
    case "isolateControlPlane":
    case "killApiServer":
    case "killEtcd":
      return "control plane";
    case "refusedConfiguration":
    case "otherConfiguration":
      return "configuration";
    case "moreServices":
    case "fillPool":
      return "Services";
    case "scale":
      return "Pods";
    case "rotateKey":
    case "deleteLease":
    case "deleteState":
      return what.type;
    case "edit":
      return what.edit;
    case "cutOneWay":
      return nameOf(what.from[0] ?? 0);
    default:
      return nameOf(what.node);
  }
}

/** Whether a node's speaker does not run then, stands still, or is not on the LAN. */
export function endsSpeaker(what: What, node: number): boolean {
  if (!("node" in what) || what.node !== node) return false;
  return ["killSpeaker", "stopSpeaker", "stallSpeaker", "isolate", "unplug", "powerOff"].includes(what.type);
}

/** For people. */
export function describeAct(what: What): string {
  if (isFault(what)) return describeFault(what, nameOf);
  if (what.type === "impair") return `impair node${what.node + 1}: ${describeImpairment(what.impairment)}`;
  if (what.type === "endThreads") return `end ${what.threads} threads of node${what.node + 1}`;
  const by = "seconds" in what ? ` by ${what.seconds} s` : "percent" in what ? ` ${what.percent} %` : "";
  if (what.type === "edit") return `edit ${what.edit}`;
  if (what.type === "scale") return `scale to ${what.replicas}`;
  if ("controller" in what) return `${what.type} ${what.controller + 1}${by}`;
  if (!("node" in what)) return `${what.type}${by}`;
  if (what.type === "renumber") return `renumber node${what.node + 1}: ${what.how}, its speaker ${what.speaker}`;
  const more = "other" in what ? ` and node${what.other + 1}` : by;
  return `${what.type} ${nameOf(what.node)}${more}`;
}

function nameOf(node: number): string {
  return `node${node + 1}`;
}

function describeImpairment(impairment: Impairment): string {
  const { delayMs = 0, latePercent = 0, lossPercent = 0, duplicatePercent = 0, corruptPercent = 0 } = impairment;
  return [
    ...(delayMs > 0 ? [`up to ${delayMs} ms late`] : []),
    ...(latePercent > 0 ? [`${latePercent} % up to 3 s late`] : []),
    ...(lossPercent > 0 ? [`${lossPercent} % lost`] : []),
    ...(duplicatePercent > 0 ? [`${duplicatePercent} % twice`] : []),
    ...(corruptPercent > 0 ? [`${corruptPercent} % corrupted`] : []),
  ].join(", ");
}

/**
 * Acts for so long, one seed always the same; none on what another one is done to. The last is over when the time is up.
 * @param can what the target can do
 */
export function drawActs(seed: number, duration: Millis, nodes: number, can: ReadonlySet<What["type"]>): Timed<Act>[] {
  const random = seededRandom(seed);
  const acts: Timed<Act>[] = [];
  const busyUntil = new Map<string, Millis>(); // subject -> when it has recovered
  for (let at = pick(random, 3_000); ; at += 1_000 + pick(random, 9_000)) {
    const what = can.has("otherVersion") && pick(random, 4) === 0 ? drawVersion(random, nodes) : drawWhat(random, nodes, can);
    const length = drawLength(random, what);
    if (at > duration) return acts;
    if (at + length > duration) continue;
    const subject = subjectOf(what);
    if (endsPath(what) && acts.filter(({ act }) => isSame(act, what)).length === maxBreaks) continue;
    if ((busyUntil.get(subject) ?? -Infinity) > at) continue;
    busyUntil.set(subject, at + length + (what.type === "rotateKey" ? keyRestMs : 2_000));
    acts.push({ at, act: { ...what, length } });
  }
}

function isSame(act: Act, what: What): boolean {
  return endsPath(act) && subjectOf(act) === subjectOf(what);
}

/** Whether a node cannot deliver to Pods then. */
export function endsPath(what: What): boolean {
  return ["breakPath", "flushRules", "downBridge"].includes(what.type);
}

/** Some are over before anybody has found out, others not before everybody has, the router's graceful restart included. */
function drawLength(random: Random, what: What): Millis {
  if ("node" in what && endsSpeaker(what, what.node) && pick(random, 4) === 0) return 40_000 + pick(random, 20_000);
  const isLong = longActs.has(what.type) || pick(random, 4) === 0;
  return isLong ? 10_000 + pick(random, 15_000) : 300 + pick(random, 8_000);
}

/** One of which works. */
export const controllers = 2;
// Each time a node has to be healthy for twice as long before it counts as able again.
const maxBreaks = 2;
const longActs: ReadonlySet<What["type"]> = new Set(["otherVersion", "otherControllerVersion", "impair"]);
// The delay in each direction: a host that asks by ARP waits for longer than twice that.
const maxDelayMs: Millis = 300;
// A new key is used after 10 s; speakers that are away meanwhile learn of it when they are back.
const keyRestMs: Millis = 60_000;

function drawVersion(random: Random, nodes: number): What {
  const index = pick(random, nodes + controllers);
  if (index < nodes) return { type: "otherVersion", node: index };
  return { type: "otherControllerVersion", controller: index - nodes };
}

function drawWhat(random: Random, nodes: number, can: ReadonlySet<What["type"]>): What {
  const node = pick(random, nodes);
  const other = (node + 1 + pick(random, nodes - 1)) % nodes;
  const controller = pick(random, controllers);
  const seconds = (pick(random, 2) === 0 ? 1 : -1) * pick(random, pick(random, 2) === 0 ? 5 : 3_600);
  const choices: readonly What[] = [
    { type: "setClock", node, seconds },
    { type: "setControllerClock", controller, seconds },
    { type: "killSpeaker", node },
    { type: "killSpeaker", node },
    { type: "stopSpeaker", node },
    { type: "stallSpeaker", node },
    ...[1, 2, 3].map((threads): What => ({ type: "endThreads", node, threads })),
    { type: "isolate", node },
    { type: "unplug", node },
    { type: "cutApi", node },
    { type: "cutPair", node, other },
    { type: "cutOneWay", from: [node], to: [other] },
    { type: "lose", node, percent: [10, 30, 60][pick(random, 3)] ?? 10 },
    ...Array.from({ length: 4 }, (): What => ({ type: "impair", node, impairment: drawImpairment(random) })),
    ...Array.from({ length: 3 }, (): What => drawRenumbering(random, node)),
    { type: "breakPath", node },
    { type: "breakPath", node },
    { type: "killController", controller },
    { type: "stallController", controller },
    { type: "cutControllerApi", controller },
    { type: "isolateControlPlane" },
    { type: "killRouter" },
    { type: "freezeRouter" },
    { type: "refusedConfiguration" },
    { type: "otherConfiguration" },
    { type: "moreServices" },
    { type: "fillPool" },
    { type: "fillDisk", node },
    { type: "fillControllerDisk", controller },
    { type: "rotateKey" },
    { type: "deleteLease" },
    { type: "deleteState" },
    ...[1, 2].map((): What => ({ type: "edit", edit: harmlessEdits[pick(random, harmlessEdits.length)] ?? "" })),
    { type: "stopController", controller },
    { type: "killKubelet", node },
    { type: "killContainerd", node },
    { type: "drain", node },
    { type: "powerOff", node },
    { type: "powerOff", node },
    { type: "killApiServer" },
    { type: "killApiServer" },
    { type: "killEtcd" },
    { type: "killEtcd" },
    { type: "scale", replicas: 1 + pick(random, 4) },
    { type: "flushRules", node },
    { type: "flushRules", node },
    { type: "downBridge", node },
  ];
  const possible = choices.filter(({ type }) => can.has(type));
  return possible[pick(random, possible.length)] ?? { type: "killController", controller };
}

function drawRenumbering(random: Random, node: number): What {
  const how = renumberings[pick(random, renumberings.length)] ?? "flush";
  const speaker = (["runs", "stands", "killed"] as const)[pick(random, 3)] ?? "runs";
  return { type: "renumber", node, how, speaker };
}

/** One kind of fault or several. */
function drawImpairment(random: Random): Impairment {
  const all: readonly Omit<Impairment, "seed">[] = [
    { delayMs: 20 + pick(random, maxDelayMs - 20) },
    { latePercent: 1 + pick(random, 20) },
    { lossPercent: 1 + pick(random, 40) },
    { duplicatePercent: 1 + pick(random, 100) },
    { corruptPercent: 1 + pick(random, 30) },
  ];
  const first = pick(random, all.length);
  const kinds = all.filter((_, index) => index === first || pick(random, 4) === 0);
  return Object.assign({ seed: pick(random, 1_000_000) }, ...kinds);
}

function pick(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}
