import { createHash } from "node:crypto";
import type { Millis } from "#pkg/clock";
import { type Config, PoolIndex } from "#pkg/config";
import { gossipClasses } from "#pkg/gossip";
import { type Advertised, stickyClasses } from "#pkg/placement";
import {
  type CoreKind,
  decode,
  decodeGraph,
  type Entry,
  encode,
  encodeGraph,
  entryLine,
  entryPieces,
  type Hide,
  type Plain,
  type ReplayedCore,
} from "#pkg/recorder";
import { Deadlines } from "./deadlines.ts";
import type { SpeakerEffect } from "./effects.ts";
import type { SpeakerEvent } from "./events.ts";
import { createState, type SpeakerOptions, type SpeakerState } from "./state.ts";
import { step } from "./step.ts";

/** Inputs that may move any address. */
export const commonInputs: ReadonlySet<string> = new Set(["member", "config", "apiLost", "start"]);

/** One input of `step` with what it decided, as it is recorded. */
export function recordStep(event: SpeakerEvent, now: Millis, effects: readonly SpeakerEffect[], hide: Hide): Entry {
  return { at: now, input: recordEvent(event, hide), decisions: recordDecisions(effects, hide) };
}

/** The same as a line, or in pieces where it may be long. */
export function recordLine(
  event: SpeakerEvent,
  now: Millis,
  effects: readonly SpeakerEffect[],
  hide: Hide,
): string | Iterator<string, void> {
  if (event.type !== "config" && event.type !== "configRead") return entryLine(recordStep(event, now, effects, hide));
  const input = { type: event.type, config: event.config };
  return entryPieces({ at: now, input, decisions: recordDecisions(effects, hide) }, hide);
}

/** The index of pools follows from the configuration. */
function recordEvent(event: SpeakerEvent, hide: Hide): Plain {
  return encode(event.type === "config" ? { type: event.type, config: event.config } : event, hide);
}

function recordDecisions(effects: readonly SpeakerEffect[], hide: Hide): Plain[] {
  const decisions: Plain[] = [];
  for (const effect of effects)
    switch (effect.type) {
      case "wake":
      case "checkNode":
      case "completeKernel":
      case "publishInterfaces": // The input says the same.
      case "followRoutes":
        break;
      case "recordEvent":
        decisions.push(encode({ ...effect, service: effect.service.key }, hide));
        break;
      case "setPeers": {
        const { peers, isDraining, whyRemoved } = effect.peers;
        decisions.push(encode({ type: effect.type, peers: peers.map(({ key }) => key), isDraining, whyRemoved }, hide));
        break;
      }
      case "setRoutes": {
        const { type, address } = effect;
        const routes = effect.routes.map(({ prefix, via, weight }) => ({
          prefix: encode(prefix, hide),
          via: recordAdvertised(via),
          weight,
        }));
        decisions.push({ type, address: encode(address, hide), routes });
        break;
      }
      default:
        decisions.push(encode(effect, hide));
    }
  return decisions;
}

// In characters of JSON.
const maxAdvertised = 1_024;
const recordedAdvertised = new WeakMap<Advertised, Plain>(); // Thousands of routes have the same one.

/** Of one with very many communities or peers a digest, by which it is told from others. */
function recordAdvertised(advertised: Advertised): Plain {
  const known = recordedAdvertised.get(advertised);
  if (known !== undefined) return known;
  const plain = encode(advertised, asItIs);
  const json = JSON.stringify(plain);
  const recorded =
    json.length <= maxAdvertised ? plain : { order: advertised.order, characters: json.length, sha256: sha256(json) };
  recordedAdvertised.set(advertised, recorded);
  return recorded;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Runs recorded inputs through the core again. */
class Replay implements ReplayedCore {
  readonly #state: SpeakerState;

  constructor(state: SpeakerState) {
    this.#state = state;
  }

  /** @returns the decisions, as they are recorded @throws {Error} for an input that cannot be one */
  run({ at, input }: Pick<Entry, "at" | "input">): readonly Plain[] {
    return recordDecisions(step(this.#state, eventOf(input), at), asItIs);
  }

  save(): Plain {
    return encodeGraph(this.#state, classes);
  }
}

const classes = { ...gossipClasses, ...stickyClasses, Deadlines, PoolIndex };

/** The options are those of `createState`. */
export const speakerCore: CoreKind = {
  format: 5,
  begin: (options) => new Replay(createState(decode(options) as SpeakerOptions)),
  restore: (saved) => new Replay(decodeGraph(saved, classes) as SpeakerState),
};

/** Secrets were hidden when they were recorded. */
const asItIs: Hide = (hidden) => hidden;

function eventOf(input: Plain): SpeakerEvent {
  const event = decode(input) as SpeakerEvent | { readonly type: "config"; readonly config: Config };
  return event.type === "config" ? { ...event, pools: new PoolIndex(event.config.pools) } : event;
}
