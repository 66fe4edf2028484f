import { type IgnoredReason, ignoredReasons } from "./answer.ts";

/** What both threads see. All of it can be sent to a worker. */
export interface SharedMemory {
  readonly totals: SharedArrayBuffer;
  readonly rows: SharedArrayBuffer;
}

/** Where an announced address has its flag and counters. */
export type Row = number;

const totalNames = ["stop", "sendFailures", "dropped", ...ignoredReasons] as const;
export type Total = (typeof totalNames)[number];

const RowField = { announced: 0, requests: 1, responses: 2, gratuitous: 3, sightings: 4 } as const;
type RowField = keyof typeof RowField;
const fields = 5;
const firstRows = 64;
// Two million addresses. Only what is used takes memory.
const maxRows = 1 << 21;

/**
 * Counters and flags in memory that the main thread and the worker share: reading them waits for nobody, an address that is withdrawn
 * is silent from that instant, and counters outlive a worker. The main thread adds rows and sets flags, the worker counts.
 */
export class Shared {
  readonly memory: SharedMemory;
  readonly #totals: BigInt64Array;
  readonly #rows: BigInt64Array; // Follows the length of its buffer.
  #used = 0;

  constructor(memory: SharedMemory) {
    this.memory = memory;
    this.#totals = new BigInt64Array(memory.totals);
    this.#rows = new BigInt64Array(memory.rows);
  }

  static create(): Shared {
    const octets = fields * BigInt64Array.BYTES_PER_ELEMENT;
    return new Shared({
      totals: new SharedArrayBuffer(totalNames.length * BigInt64Array.BYTES_PER_ELEMENT),
      rows: new SharedArrayBuffer(firstRows * octets, { maxByteLength: maxRows * octets }),
    });
  }

  /** A row for one more address, for ever. @throws {RangeError} above two million */
  addRow(): Row {
    const { rows } = this.memory;
    const row = this.#used++;
    if ((row + 1) * fields > this.#rows.length) rows.grow(Math.min(rows.byteLength * 2, rows.maxByteLength));
    return row;
  }

  setAnnounced(row: Row, announced: boolean): void {
    Atomics.store(this.#rows, row * fields, announced ? 1n : 0n);
  }

  isAnnounced(row: Row): boolean {
    return this.row(row, "announced") === 1;
  }

  addToRow(row: Row, field: RowField): void {
    Atomics.add(this.#rows, row * fields + RowField[field], 1n);
  }

  row(row: Row, field: RowField): number {
    return Number(Atomics.load(this.#rows, row * fields + RowField[field]));
  }

  addTotal(total: Total, by = 1): void {
    Atomics.add(this.#totals, totalNames.indexOf(total), BigInt(by));
  }

  total(total: Total): number {
    return Number(Atomics.load(this.#totals, totalNames.indexOf(total)));
  }

  ignored(): Record<IgnoredReason, number> {
    return Object.fromEntries(ignoredReasons.map((reason) => [reason, this.total(reason)])) as Record<IgnoredReason, number>;
  }
}
