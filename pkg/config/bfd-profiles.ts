import type { BfdProfile } from "./config.ts";
import { quote } from "./problem.ts";
import type { RawBfdProfile, RawList } from "./raw.ts";
import type { Report } from "./report.ts";

/** Reads `bfd-profiles`: name -> profile. */
export function readBfdProfiles(raw: RawList<RawBfdProfile>, report: Report): ReadonlyMap<string, BfdProfile> {
  const profiles = new Map<string, BfdProfile>();
  const places = new Map<string, number>(); // name -> index
  for (const [index, fields] of raw.entries()) {
    if (fields?.name === undefined) continue;
    const { name } = fields;
    const same = places.get(name);
    if (same !== undefined)
      report.error(["bfd-profiles", index, "name"], `${quote(name)} is already the name of bfd-profiles[${same}]`);
    else places.set(name, index);
    profiles.set(name, {
      name,
      receiveIntervalMs: fields["receive-interval"] ?? 300,
      transmitIntervalMs: fields["transmit-interval"] ?? 300,
      detectMultiplier: fields["detect-multiplier"] ?? 3,
      echoIntervalMs: fields["echo-interval"] ?? 50,
      echoMode: fields["echo-mode"] ?? false,
      passiveMode: fields["passive-mode"] ?? false,
      minimumTtl: fields["minimum-ttl"] ?? 254,
    });
  }
  return profiles;
}
