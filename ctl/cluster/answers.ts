import type { PoolFacts } from "#pkg/allocator";
import type { Protocol } from "#pkg/config";
import { fields } from "#pkg/untrusted";
import type { BriefVerdict, VerdictAnswer, VerdictEntry } from "#pkg/verdict";

/**
 * The form of an answer under /v1, as far as it is read; docs/openapi.yaml has all fields. A field `name?` may be absent, also because a
 * process of another version leaves it out; `name~` may be null too, and is absent only there; `name?~` is either. `*` is each field.
 */
type Shape = "text" | "number" | "boolean" | readonly [Shape] | { readonly [field: string]: Shape };

/** A shape of which the type says more than the shape does. */
type Known<T, S extends Shape = Shape> = S & { readonly is?: T };

/** The type of an answer of this shape. */
type Read<S> = "is" extends keyof S
  ? S extends { readonly is?: infer T }
    ? T
    : never
  : S extends "text"
    ? string
    : S extends "number"
      ? number
      : S extends "boolean"
        ? boolean
        : S extends readonly [infer Each]
          ? readonly Read<Each>[]
          : S extends { readonly "*": infer Each }
            ? Readonly<Record<string, Read<Each>>>
            : ReadFields<S>;
type ReadFields<S> = {
  readonly [Field in keyof S as Field extends `${string}${"?" | "~"}` ? never : Field]: Read<S[Field]>;
} & { readonly [Field in keyof S as Field extends `${infer Name}?` ? Name : never]?: Read<S[Field]> } & {
  readonly [Field in keyof S as Field extends `${string}?~` ? never : Field extends `${infer Name}~` ? Name : never]: Read<
    S[Field]
  > | null;
} & { readonly [Field in keyof S as Field extends `${infer Name}?~` ? Name : never]?: Read<S[Field]> | null };

function word<W extends string>(): Known<W, "text"> {
  return "text";
}

const state = { state: "text", cause: "text", since: "text" } as const;
const evidence = [{ name: "text", value: "text", source: "text" }] as const;
const whole = { ...state, message: "text", next: "text", evidence } as const;
const verdict: Known<VerdictAnswer> = whole;
const brief: Known<BriefVerdict> = { ...state, "message?": "text", "next?": "text", "evidence?": evidence };
const entry: Known<VerdictEntry> = { kind: "text", name: "text", "peerName?": "text", ...whole };
const protocol = word<Protocol>();
const connection = word<"accepts" | "refuses" | "unreachable" | "silent">();

/** `well`: names of others, which are assigned; where they were asked for. */
const controllerServices = <V>(one: Known<V>) =>
  ({
    leader: "boolean",
    services: [{ service: "text", "pool~": "text", addresses: ["text"], verdict: one }],
    "well?": ["text"],
  }) as const;
export type ControllerServices<V = VerdictAnswer> = Read<ReturnType<typeof controllerServices<V>>>;

const placed = <V>(one: Known<V>) =>
  ({ address: "text", "pool~": "text", "protocol~": protocol, "owner~": "text", "announced?": "boolean", verdict: one }) as const;
export type PlacedAddress<V = VerdictAnswer> = Read<ReturnType<typeof placed<V>>>;

/** How many endpoints of a Service there are on one node; no name where the API has none. */
const endpoints = { "nodeName?": "text", ready: "number", draining: "number" } as const;
export type EndpointsOnNode = Read<typeof endpoints>;

/**
 * `missing`: resources that it has to see before it announces anything. `apiViewOld`: others reach the API, and it does not. `endpoints`: not
 * in answers about several Services. `via`: the node that was asked for; earlier versions, which list all Services then, do not say it. `well`: names of others, of which the node finds nothing wrong; where they were asked for.
 */
const speakerServices = <V>(one: Known<V>) =>
  ({
    node: "text",
    "missing?": ["text"],
    "apiViewOld?": "boolean",
    "via?": "text",
    services: [{ service: "text", addresses: [placed(one)], "endpoints?": [endpoints], verdict: one }],
    "well?": ["text"],
  }) as const;
export type SpeakerServices<V = VerdictAnswer> = Read<ReturnType<typeof speakerServices<V>>>;

/** Speakers say only of some facts what they are. */
export interface PoolAnswer extends Pick<PoolFacts, "pool" | "protocol">, Partial<Omit<PoolFacts, "pool" | "protocol">> {
  readonly verdict: VerdictAnswer;
  /** Its next-hop slots that nodes answer for; undefined where it has none, and of the controller. */
  readonly slots?: readonly { readonly address: string; readonly node: string }[];
}
const pool: Known<PoolAnswer> = {
  pool: "text",
  protocol: "text",
  "total?": "number",
  "inUse?": "number",
  "families?": [{ family: "text", total: "number", inUse: "number" }],
  "full?": ["text"],
  "ranges?": ["text"],
  "reserved?": [{ ranges: ["text"], "service?": "text", "namespace?": "text" }],
  "avoidBuggyIPs?": "boolean",
  "closed?": "boolean",
  "netbox?": "boolean",
  "slots?": [{ address: "text", node: "text" }],
  verdict,
};

/**
 * An attempt at one address through the node that announces it. `why` there was none: all other fields are absent then. `isRouted`: the node
 * passes packets on that come to an address of its own, as a router sends them. No verdict where nothing is wrong.
 */
const attempt = {
  owner: "text",
  "why?": "text",
  "address?": "text",
  "isRouted?": "boolean",
  "interface?": "text",
  "port?~": "number",
  "answeredBy?": [{ mac: "text", "node~": "text" }],
  "connection?~": connection,
  "largest?~": { octets: "number", arrives: "boolean" },
  "verdict?~": verdict,
} as const;
export type ProbeAttempt = Read<typeof attempt>;

/**
 * How one node found an address on the wire and on itself, or why it did not try. `isHere`: the node announces it, or central speakers lead
 * to it. `nextHops`: the nodes that a central speaker leads to. `own`: the findings of an announcing node about itself; null where it has
 * nothing to connect to.
 */
const probe = {
  node: "text",
  "why?": "text",
  "isHere?": "boolean",
  "nextHops?": [{ address: "text", "node~": "text" }],
  "attempts?": [attempt],
  "own?~": {
    service: "text",
    port: "number",
    connection,
    "endpoints?": [{ address: "text", port: "number", "node?": "text", connection }],
  },
} as const;
export type ProbeAnswer = Read<typeof probe>;

/** A part of a round through all addresses that one node is to try; `next` is null at the end. */
const probeRound = { node: "text", "why?": "text", "tried?": "number", "faults?": [attempt], "next?~": "number" } as const;
export type ProbeRoundAnswer = Read<typeof probeRound>;

const member = { node: "text", status: "text", active: "boolean", "roundTripMs?": "number" } as const;

/** The fields of each answer that are read: path -> shape. */
const shapes = {
  "/v1/configuration": {
    version: "text",
    "leader?": "boolean",
    "hash~": "text",
    "inForceSince?~": "text",
    "seen?~": "text",
    verdict,
  },
  /** `selfTested`: how often the speaker tried an address on the wire. Controllers do not say it. */
  "/v1/verdicts": { "version?": "text", "node?": "text", "selfTested?": "number", verdicts: [entry] },
  "/v1/pools": { "leader?": "boolean", pools: [pool] },
  /** `reachability`: where the node can announce addresses that have one owner; null where it reports that to nobody. */
  "/v1/node": {
    node: "text",
    "reachability?~": { answers: "boolean", "hasKernelAccess?": "boolean", interfaces: { "*": ["text"] } },
    verdicts: [verdict],
  },
  "/v1/members": { source: "text", "timing?": "text", members: [member] },
  /**
   * `current`: to whom the node hands packets of connections that it does not know. `served`: open connections to addresses that another node
   * owns now; their number is null until they have been counted.
   */
  "/v1/handovers": {
    current: [{ address: "text", from: "text", until: "text" }],
    served: [{ address: "text", "connections~": "number", until: "text" }],
  },
  "/v1/conflicts": { occupied: [{ address: "text", mac: "text", node: "text", since: "text" }] },
  "/v1/bgp/peers": [
    {
      peer: "text",
      "name?": "text",
      "state?": "text",
      prefixesWanted: "number",
      "prefixesAnnounced?": "number",
      "flaps?": "number",
    },
  ],
  "/v1/bfd/sessions": [
    {
      peer: "text",
      "local?": "text",
      "interface?": "text",
      profile: "text",
      verdict: "text",
      reason: "text",
      "since?": "text",
      "session?": { detectionMs: "number", "echoRoundTripMs?": "number" },
    },
  ],
  "/v1/recorder": { program: "text", "node?": "text", found: [{ instant: "number", at: "text", input: {}, decisions: [{}] }] },
  "/v1/probe": { ...probe, ...probeRound },
} as const satisfies Record<string, Shape>;
type AnswerTo<Path extends keyof typeof shapes> = Read<(typeof shapes)[Path]>;
export type ConfigurationAnswer = AnswerTo<"/v1/configuration">;
export type VerdictsAnswer = AnswerTo<"/v1/verdicts">;
export type PoolsAnswer = AnswerTo<"/v1/pools">;
export type NodeAnswer = AnswerTo<"/v1/node">;
export type MembersAnswer = AnswerTo<"/v1/members">;
export type HandoversAnswer = AnswerTo<"/v1/handovers">;
export type ConflictsAnswer = AnswerTo<"/v1/conflicts">;
export type PeersAnswer = AnswerTo<"/v1/bgp/peers">;
export type BfdSessionsAnswer = AnswerTo<"/v1/bfd/sessions">;

const services = {
  whole: { controller: controllerServices(verdict), speaker: speakerServices(verdict) },
  brief: { controller: controllerServices(brief), speaker: speakerServices(brief) },
};

/**
 * The same answer, if it is one of this path. Another program may listen on the port of a process, and answer anything: it is named like one that does
 * not answer, and the others are shown.
 * @throws {Error} naming the first field that is another
 */
export function checkedAnswer(program: "controller" | "speaker", path: string, body: unknown): unknown {
  const [name = "", query = ""] = path.split("?");
  const length = new URLSearchParams(query).has("brief") ? "brief" : "whole";
  const all: Readonly<Record<string, Shape>> = shapes;
  const shape = name === "/v1/services" ? services[length][program] : all[name];
  const wrong = shape && differing(body, shape);
  if (wrong !== undefined) {
    const where = wrong.at.replace(/^\./, "") || "it";
    throw new Error(`its answer to ${name} is not one of Ingot: ${where} is no ${wrong.is}`);
  }
  return body;
}

interface Difference {
  /** Such as `.members[].active`. */
  readonly at: string;
  readonly is: string;
}

/** The first difference. Of 10,000 Services 200,000 fields are looked at: no text is made for one that is as it should be. */
function differing(value: unknown, shape: Shape): Difference | undefined {
  if (typeof shape === "string")
    return typeof value === (shape === "text" ? "string" : shape) ? undefined : { at: "", is: shape };
  if (isList(shape)) {
    if (!Array.isArray(value)) return { at: "", is: "list" };
    const [each] = shape;
    for (const one of value) {
      const wrong = differing(one, each);
      if (wrong !== undefined) return { ...wrong, at: `[]${wrong.at}` };
    }
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { at: "", is: "object" };
  const every = shape["*"];
  const wanted = every === undefined ? fieldsOf(shape) : Object.keys(value).map((name) => ({ name, marks: "", shape: every }));
  for (const field of wanted) {
    const found = fields(value)[field.name];
    if ((field.marks !== "" && found === undefined) || (field.marks.endsWith("~") && found === null)) continue;
    const wrong = differing(found, field.shape);
    if (wrong !== undefined) return { ...wrong, at: `.${field.name}${wrong.at}` };
  }
  return undefined;
}

interface Field {
  readonly name: string;
  readonly marks: string;
  readonly shape: Shape;
}

const read = new Map<object, readonly Field[]>(); // shape -> its fields

function fieldsOf(shape: Exclude<Shape, string | readonly [Shape]>): readonly Field[] {
  const known = read.get(shape);
  if (known !== undefined) return known;
  const all = Object.entries(shape).map(([field, of]) => {
    const [, name = field, marks = ""] = /^(\w+)([?~]+)$/.exec(field) ?? [];
    return { name, marks, shape: of };
  });
  read.set(shape, all);
  return all;
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

/** The name for people, such as `tor-a (10.0.0.1:179)` for a peer that has a name. */
export function titleOf({ name, peerName }: Pick<VerdictEntry, "name" | "peerName">): string {
  return peerName === undefined ? name : `${peerName} (${name})`;
}

/** For people: another host has the address. A person may have written the entry of `ingot-conflicts`, without a MAC address or a node. */
export function otherHostHasIt({ mac, node }: Pick<ConflictsAnswer["occupied"][number], "mac" | "node">): string {
  if (mac === "") return "another host has it, as an entry of ingot-conflicts says";
  return `the host with MAC address ${mac}${node === "" ? "" : `, seen from ${node},`} has it`;
}

/** A verdict, and on what. */
export interface Explained {
  readonly about: string;
  readonly verdict: VerdictAnswer;
}
