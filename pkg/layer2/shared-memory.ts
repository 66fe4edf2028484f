import { SharedCounters } from "#pkg/threads";
import { ignoredReasons } from "./frames/answers.ts";

/** Memory that both threads see. All of it can be sent to a worker. */
export interface SharedBuffers {
  readonly totals: SharedArrayBuffer;
  readonly rows: SharedArrayBuffer;
}

/** The flag and counters of an announced address. */
export type Row = number;

const totalNames = ["sendFailures", "dropped", ...ignoredReasons] as const;

const RowField = { announced: 0, requests: 1, responses: 2, gratuitous: 3, sightings: 4 } as const;
type RowField = keyof typeof RowField;
const fieldsPerRow = 5;
const firstRows = 64;
// Two million addresses. Only what is used takes memory.
const maxRows = 1 << 21;

/**
 * Counters and flags in memory that the main thread and the worker share: reading them waits for nobody, a withdrawn address is no longer
 * answered from that instant, and counters outlive a worker. The main thread adds rows and sets flags, the worker counts.
 */
export class SharedMemory {
  readonly buffers: SharedBuffers;
  readonly totals: SharedCounters<(typeof totalNames)[number]>;
  readonly #rows: BigInt64Array; // Follows the length of its buffer.
  readonly #free: Row[] = [];
  #used = 0;

  constructor(buffers: SharedBuffers) {
    this.buffers = buffers;
    this.totals = new SharedCounters(totalNames, buffers.totals);
    this.#rows = new BigInt64Array(buffers.rows);
  }

  static create(): SharedMemory {
    const rowSize = fieldsPerRow * BigInt64Array.BYTES_PER_ELEMENT;
    const rows = new SharedArrayBuffer(firstRows * rowSize, { maxByteLength: maxRows * rowSize });
    return new SharedMemory({ totals: new SharedCounters(totalNames).memory, rows });
  }

  /** A row for one more address, with all counters 0. @throws {RangeError} above two million */
  addRow(): Row {
    const { rows } = this.buffers;
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const row = this.#used++;
    if ((row + 1) * fieldsPerRow > this.#rows.length) rows.grow(Math.min(rows.byteLength * 2, rows.maxByteLength));
    return row;
  }

  /** The row may be another address's from now on. */
  freeRow(row: Row): void {
    for (let field = 0; field < fieldsPerRow; field++) Atomics.store(this.#rows, row * fieldsPerRow + field, 0n);
    this.#free.push(row);
  }

  setAnnounced(row: Row, announced: boolean): void {
    Atomics.store(this.#rows, row * fieldsPerRow, announced ? 1n : 0n);
  }

  isAnnounced(row: Row): boolean {
    return this.row(row, "announced") === 1;
  }

  addToRow(row: Row, field: RowField): void {
    Atomics.add(this.#rows, row * fieldsPerRow + RowField[field], 1n);
  }

  row(row: Row, field: RowField): number {
    return Number(Atomics.load(this.#rows, row * fieldsPerRow + RowField[field]));
  }
}
