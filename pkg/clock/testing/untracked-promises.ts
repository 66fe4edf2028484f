import { createHook } from "node:async_hooks";

/**
 * For simulations, which make millions of promises. Imported before the first test of `node:test`, it keeps `node:test` from following each
 * promise to the test that made it, which takes twice the time of the simulation itself. An uncaught rejection still fails, but as the
 * failure of the file. `node --test` begins to follow them before it loads anything: `e2e/tiers/in-one-process.ts` takes its place.
 */
const hooks = Object.getPrototypeOf(createHook({})) as { enable(): unknown };
const { enable } = hooks;
hooks.enable = function (this: unknown) {
  return new Error().stack?.includes("node:internal/test_runner/") ? this : enable.call(this);
};
