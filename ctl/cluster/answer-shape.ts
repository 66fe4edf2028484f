import { fields } from "#pkg/untrusted";

/** The form of an answer on which the code that reads it relies. A field `name?` may be absent, `name~` absent or null, and `*` is each field. */
type Shape = "text" | "number" | "boolean" | readonly [Shape] | { readonly [field: string]: Shape };

const kind: Shape = { state: "text", cause: "text", "since?": "text" };
const evidence: Shape = [{ name: "text", value: "text", "source?": "text" }];
const verdict: Shape = { ...kind, message: "text", next: "text", evidence };
const brief: Shape = { ...kind, "message?": "text", "next?": "text", "evidence?": evidence };
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
  const wanted = every === undefined ? fieldsOf(shape) : Object.keys(value).map((name) => ({ name, mark: "", shape: every }));
  for (const field of wanted) {
    const found = fields(value)[field.name];
    if ((field.mark !== "" && found === undefined) || (field.mark === "~" && found === null)) continue;
    const wrong = differing(found, field.shape);
    if (wrong !== undefined) return { ...wrong, at: `.${field.name}${wrong.at}` };
  }
  return undefined;
}

interface Field {
  readonly name: string;
  readonly mark: string;
  readonly shape: Shape;
}

const read = new Map<object, readonly Field[]>(); // shape -> its fields

function fieldsOf(shape: Exclude<Shape, string | readonly [Shape]>): readonly Field[] {
  const known = read.get(shape);
  if (known !== undefined) return known;
  const all = Object.entries(shape).map(([field, of]) => {
    const [, name = field, mark = ""] = /^(\w+)([?~])$/.exec(field) ?? [];
    return { name, mark, shape: of };
  });
  read.set(shape, all);
  return all;
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}
