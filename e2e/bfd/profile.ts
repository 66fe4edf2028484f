import type { BfdProfile } from "#pkg/config";

/** A profile with the defaults of the configuration, and these settings. */
export function profile(settings: Partial<BfdProfile> = {}): BfdProfile {
  return {
    name: "test",
    receiveIntervalMs: 300,
    hasReceiveInterval: settings.receiveIntervalMs !== undefined,
    transmitIntervalMs: 300,
    detectMultiplier: 3,
    echoIntervalMs: 50,
    echoMode: false,
    passiveMode: false,
    minimumTtl: 254,
    ...settings,
  };
}

/** Both intervals alike. */
export function every(intervalMs: number, settings: Partial<BfdProfile> = {}): Partial<BfdProfile> {
  return { receiveIntervalMs: intervalMs, transmitIntervalMs: intervalMs, ...settings };
}
