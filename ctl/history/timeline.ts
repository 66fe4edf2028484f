import { decode, type FoundEntry, type Plain } from "#pkg/core";
import { counted } from "#pkg/text";
import { type Fields, fields } from "#pkg/untrusted";

/** The answer of one process to `/v1/recorder?about=…`. */
export interface RecorderAnswer {
  readonly program: "controller" | "speaker";
  readonly node?: string;
  readonly found: readonly FoundEntry[];
}

/** One thing that happened, as one process saw or did it. */
export interface Moment {
  /** ISO 8601. */
  readonly at: string;
  readonly program: "controller" | "speaker";
  /** Where a speaker runs; empty for a controller. */
  readonly node: string;
  readonly what: string;
  /** Empty where it is not known, or stands in `what`. */
  readonly why: string;
}

/** A plain object, as far as it is one. */
interface Step extends Moment {
  /** It matters to all addresses, and is shown where one of them moves soon after. */
  readonly isContext: boolean;
}

// Between what set a move off and the move: a suspicion becomes a failure in some seconds, also at HashiCorp's pace.
const contextMs = 15_000;
// Between a decision and the report on it, which waits until all is placed.
const reportMs = 5_000;

/** The processes' records about one address or Service, in one time line. Clocks of nodes may differ by what NTP leaves. */
export function timeline(answers: readonly RecorderAnswer[]): Moment[] {
  const steps = answers.flatMap((answer) => withReasons(stepsOf(answer)));
  const moves = steps.filter(({ isContext }) => !isContext).map(({ at }) => Date.parse(at));
  const isWanted = ({ isContext, at }: Step) =>
    !isContext || moves.some((move) => move >= Date.parse(at) && move - Date.parse(at) <= contextMs);
  return steps
    .filter(isWanted)
    .map(({ isContext: _, ...moment }) => moment)
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function stepsOf({ program, node = "", found }: RecorderAnswer): Step[] {
  const steps: Step[] = [];
  for (const { at, input, decisions } of found) {
    const add = (what: string, why = "", isContext = false) => {
      const last = steps.at(-1);
      // Three probes, or routes of a portion: one line says it.
      if (last !== undefined && last.what === what && last.why === why) return;
      steps.push({ at, program, node, what, why, isContext });
    };
    const seen = program === "speaker" ? readable(input, inputText) : undefined;
    if (seen !== undefined) add(seen.what, "", seen.isContext);
    for (const decision of decisions) {
      const text = readable(decision, decisionText);
      if (text !== undefined) add(text.what, text.why ?? "");
    }
  }
  return steps;
}

/** A report about a Service gives the reason of the step just before. */
function withReasons(steps: readonly Step[]): Step[] {
  const kept: Step[] = [];
  for (const step of steps) {
    const [, verb] = /^(announces|withdraws) it for /.exec(step.what) ?? [];
    const done =
      verb === undefined ? undefined : kept.findLast(({ what }) => what.startsWith(`${verb} `) && !what.includes(" it for "));
    if (done === undefined || Date.parse(step.at) - Date.parse(done.at) > reportMs) kept.push(step);
    else if (done.why === "") kept[kept.indexOf(done)] = { ...done, why: step.why };
  }
  return kept;
}

function inputText(event: Fields): { readonly what: string; readonly isContext: boolean } | undefined {
  const isShortened = Object.keys(event).length === 1; // It is long, and about something else besides; or of an earlier version.
  if (isShortened && event.type !== "config" && event.type !== "start") return shortenedTexts[String(event.type)];
  switch (event.type) {
    case "member":
      return {
        what: `sees that node ${event.node} ${memberChanges[String(event.change)] ?? event.change}${evidenceText(fields(event.evidence))}`,
        isContext: true,
      };
    case "config":
      return { what: "has another configuration in force", isContext: true };
    case "apiLost":
      return {
        what: event.since === Infinity ? "sees the API server again" : "does not see the API server any more",
        isContext: true,
      };
    case "start":
      return { what: "starts to announce", isContext: true };
    case "slice":
      return { what: endpointsText(fields(event.now)), isContext: false };
    case "service":
      return {
        what: event.service === undefined ? "sees that the Service is gone" : "sees the Service change",
        isContext: false,
      };
    case "sighting": {
      const { kind, mac, interface: name } = fields(event.sighting);
      return { what: `sees a frame (${kind}) of ${mac} on ${name}`, isContext: false };
    }
    default:
      return undefined;
  }
}

/** Texts for inputs of which only the type is known. */
const shortenedTexts: Readonly<Record<string, { readonly what: string; readonly isContext: boolean }>> = {
  member: { what: "sees another member of the ring change", isContext: true },
  apiLost: { what: "loses the API server, or sees it again", isContext: true },
  slice: { what: "sees endpoints change", isContext: false },
  service: { what: "sees the Service change", isContext: false },
};

const memberChanges: Readonly<Record<string, string>> = {
  joined: "joined the ring",
  updated: "was updated",
  suspected: "does not answer",
  refuted: "answers again",
  failed: "failed",
  left: "left the ring",
};

/** The ring's evidence against a member: see `EvidenceView`. Earlier versions record none. */
function evidenceText({ accusers, suspectedMs, silentMs, byBfd, lateMs, lateAgoMs }: Fields): string {
  if (!Array.isArray(accusers)) return "";
  const parts = [
    ...(accusers.length > 0 ? [`accused by ${accusers.join(", ")}`] : []),
    ...(suspectedMs === undefined ? [] : [`suspected for ${suspectedMs} ms`]),
    ...(silentMs === undefined ? [] : [`last heard ${silentMs} ms before`]),
    ...(byBfd === true ? ["found by BFD"] : []),
    ...(lateMs === undefined ? [] : [`this node itself was ${lateMs} ms late ${lateAgoMs} ms before`]),
  ];
  return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
}

function endpointsText({ endpoints }: Fields): string {
  if (!Array.isArray(endpoints)) return "sees that endpoints are gone";
  // A node's endpoints together; version 0.1.0 has each by itself, whose `ready` is true or false.
  const nodes = endpoints.map(fields).filter(({ ready }) => Number(ready) > 0);
  const on = [...new Set(nodes.map(({ nodeName }) => nodeName ?? "unknown"))].sort().join(", ");
  const count = nodes.reduce((sum, { ready }) => sum + Number(ready), 0);
  return count === 0 ? "sees no ready endpoint" : `sees ready endpoints: ${count} on ${on}`;
}

function decisionText(decision: Fields): { readonly what: string; readonly why?: string } | undefined {
  const { type, address } = decision;
  const ip = String(address);
  switch (type) {
    case "announce":
      return { what: `announces ${ip} by layer 2` };
    case "withdraw":
      return { what: `withdraws ${ip}` };
    case "reannounce":
      return { what: `announces ${ip} again from the first frame` };
    case "defend":
      return { what: `defends ${ip} against another host` };
    case "probe":
      return { what: `asks the network who has ${ip}` };
    case "challenge":
      return { what: `has the host ${decision.to} prove that it is the speaker which announces ${ip}` };
    case "writeOccupant":
      return {
        what: decision.occupant === undefined ? `reports that nobody else has ${ip}` : `reports that another host has ${ip}`,
      };
    case "setRoutes": {
      const count = Array.isArray(decision.routes) ? decision.routes.length : 0;
      return {
        what: count === 0 ? `withdraws its routes to ${ip}` : `advertises ${ip} by BGP in ${counted(count, "route")}`,
      };
    }
    case "setKernel": {
      const on = new Set((Array.isArray(decision.items) ? decision.items : []).map((item) => fields(item).interface));
      return { what: on.size === 0 ? `withdraws ${ip} from its interfaces` : `announces ${ip} on ${[...on].join(", ")}` };
    }
    case "setHandover":
      return {
        what:
          decision.handover === undefined
            ? `hands no packets of connections to ${ip} over any more`
            : `hands packets of connections to ${ip} that it does not know to ${fields(decision.handover).to}`,
      };
    case "tookOver":
      return { what: `took ${ip} over from node ${decision.from}`, why: takeoverReason(decision) };
    case "log":
      return logText(decision);
    case "recordEvent":
      return decision.kind === "Warning" ? { what: `event ${decision.reason}`, why: String(decision.message) } : undefined;
    default:
      return undefined;
  }
}

function takeoverReason({ cause, afterMs }: Fields): string {
  const since = typeof afterMs === "number" ? ` ${Math.round(afterMs)} ms before` : "";
  return cause === "failed"
    ? `it stopped answering${since}`
    : cause === "failedFast"
      ? `BFD found that it failed${since}`
      : cause === "left"
        ? `it left the ring${since}`
        : cause === "cannotDeliver"
          ? "it cannot deliver to Pods"
          : "it may not announce it any more, or another node is preferred";
}

/** Lines of the log that say more than the decisions beside them. */
function logText({ message, fields: more }: Fields): { readonly what: string; readonly why?: string } | undefined {
  const { event, op, service, ips, pool, reason, error, warning, owner, mac } = fields(more);
  const addresses = Array.isArray(ips) ? ips.join(", ") : "";
  if (event === "ipAllocated") return { what: `assigns ${addresses} of pool ${pool}` };
  if (event === "serviceDeleted" || event === "clearAssignment")
    return { what: `releases ${addresses}`, why: String(error ?? reason ?? "deleted") };
  if (op === "allocateIPs") return { what: "assigns nothing more", why: String(error) };
  if (event === "serviceAnnounced") return { what: `announces it for ${service}` };
  if (event === "serviceWithdrawn") return { what: `withdraws it for ${service}`, why: String(reason) };
  if (event === "serviceNotAnnounced")
    return warning === undefined ? undefined : { what: `cannot announce ${service}`, why: String(warning) };
  if (event === "membersChanged" || event === "nodeChanged" || event === "stateSynced") return undefined;
  const facts = [owner, mac].filter((fact) => typeof fact === "string");
  return { what: String(message), why: facts.join(", ") };
}

/** Another version may record what this one cannot read. */
function readable<T>(plain: Plain, read: (fields: Fields) => T): T | undefined {
  try {
    return read(fields(decode(plain)));
  } catch {
    return undefined;
  }
}
