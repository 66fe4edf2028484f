import type { IncomingMessage } from "node:http";
import { setImmediate } from "node:timers/promises";
import { type Fields, fields, text } from "#pkg/untrusted";
import { ApiError } from "./errors.ts";
import { chunks } from "./http.ts";
import { LineSplitter } from "./lines.ts";
import type { ObjectMeta } from "./objects.ts";
import type { Resource } from "./resources.ts";
import { type MoreAnnotations, parseJson } from "./untrusted.ts";

// etcd takes objects up to 1.5 MiB; as JSON with escapes they grow.
const maxLineBytes = 16 << 20;
// Lines that arrive at once are handled in several turns of the event loop: each line may be 100 µs of work for a follower.
const maxLinesAtOnce = 64;

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: Fields;
}

/** After this message of the server, only a new list shows the present objects. */
export class WatchError extends ApiError {}

/**
 * The events of a watch as they arrive.
 * @param peek may tell the event in a line by its beginning @throws {WatchError}, {ApiError} `Unreachable` where it breaks off
 */
export async function* watchEvents<E extends WatchEvent>(
  response: IncomingMessage,
  { plural, annotations }: Pick<Resource<ObjectMeta>, "plural" | "annotations">,
  peek: (line: string) => E | undefined = () => undefined,
): AsyncGenerator<WatchEvent | E> {
  const splitter = new LineSplitter(maxLineBytes);
  let lines = 0;
  for await (const chunk of chunks(response, `watch ${plural}`)) {
    try {
      for (const line of splitter.push(chunk)) {
        if (++lines % maxLinesAtOnce === 0) await setImmediate();
        yield peek(line) ?? decode(line, plural, annotations);
      }
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw unusable(plural, "a line is too long", 200, "Malformed", cause);
    }
  }
}

function decode(line: string, plural: string, annotations: MoreAnnotations | undefined): WatchEvent {
  const { type, object } = fields(parseJson(line, annotations));
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return { type, object: fields(object) };
    case "ERROR": {
      const { message, code, reason } = fields(object);
      throw unusable(plural, text(message), typeof code === "number" ? code : 0, text(reason));
    }
    default:
      throw unusable(plural, "a line is not an event", 200, "Malformed");
  }
}

function unusable(plural: string, found: string, status: number, reason: string, cause?: unknown): WatchError {
  return new WatchError(`Cannot watch ${plural}: ${found}`, status, reason, { cause });
}
