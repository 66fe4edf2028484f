import type { Millis } from "#pkg/clock";
import type { CoreKind } from "../recording/checkpoint.ts";
import { decode, encode, type Hide, type Plain } from "../recording/codec.ts";
import { type Entry, entryLine, entryPieces } from "../recording/entry.ts";
import { decodeGraph, encodeGraph, type SavableClasses } from "../recording/graph.ts";

/**
 * The decisions of a daemon, without I/O, clock or chance: they can be printed, recorded, saved, and run again. A state is made with
 * `Options`, which are plain values, too.
 */
export interface CoreDefinition<State, Event extends { readonly type: string }, Effect, Options> {
  /** Format of saved states: see `CoreKind`. */
  readonly format: number;
  /** A state that has seen nothing. */
  createState(options: Options): State;
  /** Advances the state, which is changed in place, by one event. @returns what drivers carry out, in this order */
  step(state: State, event: Event, now: Millis): Effect[];
  /** When the event `timer` has something to do; Infinity without anything. */
  nextDeadline(state: State): Millis;
  /** Types of inputs that may be of any size: they are recorded in pieces. */
  readonly longInputs: ReadonlySet<string>;
  /** The event without what follows from the rest of it. */
  toRecord(event: Event): unknown;
  /** Undoes `toRecord`. */
  fromRecord(recorded: unknown): Event;
  /** The recorded form of effects, without effects that say no more than the input. */
  describe(effects: readonly Effect[], hide: Hide): readonly Plain[];
  /** Classes whose instances a state may have. */
  readonly classes: SavableClasses;
}

export type Core<State, Event extends { readonly type: string }, Effect, Options> = CoreDefinition<
  State,
  Event,
  Effect,
  Options
> &
  CoreKind;

/** One input of `step`, as it is recorded: the same inputs give a fresh state the same effects. */
export interface CoreInput<Event> {
  readonly event: Event;
  readonly now: Millis;
}

/** A core whose recorded inputs can be run again. */
export function defineCore<State, Event extends { readonly type: string }, Effect, Options>(
  core: CoreDefinition<State, Event, Effect, Options>,
): Core<State, Event, Effect, Options> {
  const replayed = (state: State): ReturnType<CoreKind["begin"]> => ({
    run: ({ at, input }) => core.describe(core.step(state, core.fromRecord(decode(input)), at), asItIs),
    save: () => encodeGraph(state, core.classes),
  });
  return Object.assign(core, {
    begin: (options: Plain) => replayed(core.createState(decode(options) as Options)),
    restore: (saved: Plain) => replayed(decodeGraph(saved, core.classes) as State),
  });
}

type Recorded<Event extends { readonly type: string }, Effect> = Pick<
  CoreDefinition<never, Event, Effect, never>,
  "toRecord" | "describe" | "longInputs"
>;

/** The recorded form of one input with the decisions on it. */
export function recordStep<Event extends { readonly type: string }, Effect>(
  core: Recorded<Event, Effect>,
  { event, now }: CoreInput<Event>,
  effects: readonly Effect[],
  hide: Hide,
): Entry {
  return { at: now, input: encode(core.toRecord(event), hide), decisions: core.describe(effects, hide) };
}

/** The same as a line, or in pieces where it may be long. */
export function recordLine<Event extends { readonly type: string }, Effect>(
  core: Recorded<Event, Effect>,
  step: CoreInput<Event>,
  effects: readonly Effect[],
  hide: Hide,
): string | Iterator<string, void> {
  if (!core.longInputs.has(step.event.type)) return entryLine(recordStep(core, step, effects, hide));
  return entryPieces({ at: step.now, input: core.toRecord(step.event), decisions: core.describe(effects, hide) }, hide);
}

/** Secrets were hidden when they were recorded. */
const asItIs: Hide = (hidden) => hidden;
