import type { Millis, Random } from "#pkg/clock";
import type { Effect } from "./events.ts";
import type { Connection, Session } from "./state.ts";

/** One step in the making: the session as it is by now, and what is to be done. */
export interface Turn {
  session: Session;
  readonly effects: Effect[];
  readonly now: Millis;
  readonly random: Random;
}

/** The connection of that id; undefined when it is gone, because what is told of it came too late. */
export function connectionOf({ session }: Turn, id: number): Connection | undefined {
  return session.connections.find((connection) => connection.id === id);
}

export function change(turn: Turn, fields: Partial<Session>): void {
  turn.session = { ...turn.session, ...fields };
}

/** Puts a connection in the place of the one with its id. */
export function replace<Kind extends Connection>(turn: Turn, connection: Kind): Kind {
  const connections = turn.session.connections.map((one) => (one.id === connection.id ? connection : one));
  change(turn, { connections });
  return connection;
}

export function remove(turn: Turn, { id }: Connection): void {
  change(turn, { connections: turn.session.connections.filter((connection) => connection.id !== id) });
}
