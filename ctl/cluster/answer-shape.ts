import { fields } from "#pkg/untrusted";

/** The form of an answer on which the code that reads it relies. A field `name?` may be absent, `name~` absent or null, and `*` is each field. */
type Shape = "text" | "number" | "boolean" | readonly [Shape] | { readonly [field: string]: Shape };

const brief: Shape = { state: "text", cause: "text" };
const verdict: Shape = {
  ...brief,
  message: "text",
  next: "text",
  "since?": "text",
  evidence: [{ name: "text", value: "text", "source?": "text" }],
};
const entries: Shape = [{ kind: "text", name: "text", "peerName?": "text", ...verdict }];

const services = (one: Shape) =>
  ({
    controller: { leader: "boolean", services: [{ service: "text", "pool~": "text", addresses: ["text"], verdict: one }] },
    speaker: {
      node: "text",
      "missing?": ["text"],
      services: [
        {
          service: "text",
          verdict: one,
          "endpoints?": [{ "nodeName?": "text", ready: "number", draining: "number" }],
          addresses: [
            { address: "text", "pool~": "text", "protocol~": "text", "owner~": "text", "announced?": "boolean", verdict: one },
          ],
        },
      ],
    },
  }) satisfies Record<string, Shape>;
const [wholeServices, briefServices] = [services(verdict), services(brief)];

const attempt: Shape = {
  owner: "text",
  "why?": "text",
  "address?": "text",
  "isRouted?": "boolean",
  "interface?": "text",
  "port~": "number",
  "answeredBy?": [{ mac: "text", "node~": "text" }],
  "connection~": "text",
  "largest~": { octets: "number", arrives: "boolean" },
  "verdict~": verdict,
};

/** The fields of each answer that are read: path -> shape. */
const shapes: Readonly<Record<string, Shape>> = {
  "/v1/configuration": { version: "text", "leader?": "boolean", "hash~": "text", "inForceSince~": "text", verdict },
  "/v1/verdicts": { "version?": "text", "node?": "text", "selfTested?": "number", verdicts: entries },
  "/v1/pools": {
    "leader?": "boolean",
    pools: [{ pool: "text", protocol: "text", "families?": [{ family: "text", total: "number", inUse: "number" }], verdict }],
  },
  "/v1/node": {
    node: "text",
    "reachability~": { answers: "boolean", "hasKernelAccess?": "boolean", interfaces: { "*": ["text"] } },
    verdicts: [verdict],
  },
  "/v1/members": { source: "text", "timing?": "text", members: [{ node: "text", status: "text", active: "boolean" }] },
  "/v1/handovers": {
    current: [{ address: "text", from: "text", until: "text" }],
    served: [{ address: "text", "connections~": "number", until: "text" }],
  },
  "/v1/conflicts": { occupied: [{ address: "text", mac: "text", node: "text", since: "text" }] },
  "/v1/recorder": { program: "text", "node?": "text", found: [{ instant: "number", at: "text", input: {}, decisions: [{}] }] },
  "/v1/probe": {
    node: "text",
    "why?": "text",
    "isHere?": "boolean",
    "attempts?": [attempt],
    "faults?": [attempt],
    "tried?": "number",
    "next~": "number",
    "own~": {
      service: "text",
      port: "number",
      connection: "text",
      "endpoints?": [{ address: "text", port: "number", "node?": "text", connection: "text" }],
    },
  },
};

/**
 * The same answer, if it is one of this path. Whoever listens on the port of a process may answer anything: it is named like one that does
 * not answer, and the others are shown.
 * @throws {Error} naming the first field that is another
 */
export function checkedAnswer(program: "controller" | "speaker", path: string, body: unknown): unknown {
  const [name = "", query = ""] = path.split("?");
  const isBrief = new URLSearchParams(query).has("brief");
  const shape = name === "/v1/services" ? (isBrief ? briefServices : wholeServices)[program] : shapes[name];
  const wrong = shape && differing(body, shape, "");
  if (wrong !== undefined) throw new Error(`its answer to ${name} is not one of Ingot: ${wrong}`);
  return body;
}

/** The first difference, in words. */
function differing(value: unknown, shape: Shape, at: string): string | undefined {
  if (typeof shape === "string")
    return typeof value === (shape === "text" ? "string" : shape) ? undefined : `${at || "it"} is no ${shape}`;
  if (isList(shape)) {
    if (!Array.isArray(value)) return `${at || "it"} is no list`;
    for (const one of value) {
      const wrong = differing(one, shape[0], `${at}[]`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return `${at || "it"} is no object`;
  const every = shape["*"];
  const wanted = every === undefined ? Object.entries(shape) : Object.keys(value).map((field) => [field, every] as const);
  for (const [field, of] of wanted) {
    const [, name = field, mark = ""] = (every === undefined && /^(\w+)([?~])$/.exec(field)) || [];
    const found = fields(value)[name];
    const isLeftOut = (mark !== "" && found === undefined) || (mark === "~" && found === null);
    const wrong = isLeftOut ? undefined : differing(found, of, at === "" ? name : `${at}.${name}`);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}
