import type { ServerResponse } from "node:http";
import { changesBetween } from "./model/changes.ts";
import { emptyModel, type Model } from "./model/rows.ts";

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): each reader gets first the whole model, then
 * differences from its last state. While a reader does not take its data, nothing more is kept for it: afterwards it gets the difference to
 * the latest model.
 */
export class Streams implements Disposable {
  readonly #readers = new Set<Reader>();
  #model = emptyModel();

  /** How many readers there are. */
  get size(): number {
    return this.#readers.size;
  }

  /** Answers with the stream, until the reader leaves. */
  add(response: ServerResponse): void {
    const reader = new Reader(response);
    this.#readers.add(reader);
    response.on("close", () => this.#readers.delete(reader));
    response.on("drain", () => reader.show(this.#model));
    response.write("retry: 1000\n\n");
    reader.show(this.#model);
  }

  show(model: Model): void {
    this.#model = model;
    for (const reader of this.#readers) reader.show(model);
  }

  /** Shows both ends, and anything between them, that the other end is there. */
  keepAlive(): void {
    for (const reader of this.#readers) reader.keepAlive();
  }

  [Symbol.dispose](): void {
    for (const reader of this.#readers) reader.end();
  }
}

class Reader {
  readonly #response: ServerResponse;
  #sent: Model | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  show(model: Model): void {
    if (this.#response.writableNeedDrain) return;
    const changes = changesBetween(this.#sent ?? emptyModel(), model);
    if (changes === undefined && this.#sent !== undefined) return;
    const event = this.#sent === undefined ? "model" : "changes";
    this.#sent = model;
    this.#response.write(`event: ${event}\ndata: ${JSON.stringify(changes ?? {})}\n\n`);
  }

  keepAlive(): void {
    if (!this.#response.writableNeedDrain) this.#response.write(":\n\n");
  }

  end(): void {
    this.#response.end();
  }
}
