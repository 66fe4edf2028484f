/**
 * Which Service has which address, and why not: one state machine, run by `CoreRunner`. Drivers deliver `ControllerEvent`s and carry out
 * `ControllerEffect`s; whoever looks at the state does so by `ControllerView`. Times are `Clock` milliseconds.
 */
export type { ControllerEffect } from "./effects.ts";
export type {
  ControllerEvent,
  KeeperEvent,
  ServiceChange,
  SourceEvent,
  StatusWrite,
  WriteFailure,
} from "./events.ts";
export { type ControllerRunner, commonInputs, controllerCore } from "./replay.ts";
export type { ControllerOptions as CoreOptions } from "./state.ts";
export { failureOf } from "./statuses/write-failure.ts";
export { ControllerView } from "./view.ts";
