import { createHash } from "node:crypto";
import { type Config, PoolIndex } from "#pkg/config";
import { type CoreRunner, Deadlines, defineCore, encode, type Hide, type Plain, type TimerEvent } from "#pkg/core";
import { gossipClasses } from "#pkg/gossip";
import { type Advertised, stickyClasses } from "#pkg/placement";
import type { SpeakerEffect } from "./effects.ts";
import type { SpeakerEvent } from "./events.ts";
import type { SliceFields } from "./services/services.ts";
import { createState, type SpeakerOptions, type SpeakerState } from "./state.ts";
import { nextDeadline, step } from "./step.ts";

/** Inputs that may move any address. */
export const commonInputs: ReadonlySet<string> = new Set(["member", "config", "apiLost", "start"]);

function describe(effects: readonly SpeakerEffect[], hide: Hide): Plain[] {
  const decisions: Plain[] = [];
  for (const effect of effects)
    switch (effect.type) {
      case "wake":
      case "checkNode":
      case "completeKernel":
      case "publishInterfaces": // The input says the same.
      case "followRoutes":
      case "nameInterfaces":
      case "setSpeakers":
        break;
      case "writeAnnounced": // The lines follow from the inputs, and may be thousands.
        decisions.push({ type: effect.type, lines: effect.lines.size });
        break;
      case "recordEvent":
        decisions.push(encode({ ...effect, service: effect.service.key }, hide));
        break;
      case "setPeers": {
        const { bfdProfiles: _, peers, ...rest } = effect.peers;
        decisions.push(encode({ type: effect.type, peers: peers.map(({ key }) => key), ...rest }, hide));
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

/** Routes with very many communities or peers are recorded as a digest, which tells it from others. */
function recordAdvertised(advertised: Advertised): Plain {
  const known = recordedAdvertised.get(advertised);
  if (known !== undefined) return known;
  const plain = encode(advertised, String);
  const json = JSON.stringify(plain);
  const recorded =
    json.length <= maxAdvertised ? plain : { order: advertised.order, characters: json.length, sha256: sha256(json) };
  recordedAdvertised.set(advertised, recorded);
  return recorded;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The speaker's core, as it is run, recorded and run again. */
export const speakerCore = defineCore<SpeakerState, SpeakerEvent, SpeakerEffect, SpeakerOptions>({
  format: 58,
  createState,
  step,
  nextDeadline,
  longInputs: new Set(["config", "configRead"]),
  // Of 10,000 Services with a slice each, what no decision depends on, above all random identifiers, is half of what their entries take.
  toRecord(event) {
    switch (event.type) {
      case "config":
        return { type: event.type, config: event.config };
      case "service":
        return { ...event, service: event.service && { ...event.service, uid: undefined } };
      case "slice": {
        const { type, key, now, before } = event;
        return { type, key, now: now && fieldsOf(now), before: before && { service: before.service } };
      }
      default:
        return event;
    }
  },
  fromRecord(recorded) {
    const event = recorded as SpeakerEvent | { readonly type: "config"; readonly config: Config };
    return event.type === "config" ? { ...event, pools: new PoolIndex(event.config.pools) } : event;
  },
  describe,
  classes: { ...gossipClasses, ...stickyClasses, Deadlines, PoolIndex },
});

function fieldsOf({ key, service, family, endpoints, idle }: SliceFields): SliceFields {
  return { key, service, family, endpoints, idle };
}

export type SpeakerRunner = CoreRunner<SpeakerState, Exclude<SpeakerEvent, TimerEvent>, SpeakerEffect>;
