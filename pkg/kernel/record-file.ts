import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#pkg/log";
import { readRecord, recordText } from "./state/record.ts";
import type { KernelState } from "./state/state.ts";

const defaultFolder = "/run/ingot";

export interface RecordFileOptions {
  readonly node: string;
  readonly folder?: string;
  readonly log: Log;
}

/** The file that tells the next life of this speaker what is its own in the kernel. */
export class RecordFile {
  readonly #folder: string;
  readonly #file: string;
  readonly #log: Log;
  #text = "";
  #isRead = false;
  #hasFailed = false;

  constructor({ node, folder = defaultFolder, log }: RecordFileOptions) {
    this.#folder = folder;
    this.#file = join(folder, `kernel-${node}.json`);
    this.#log = log;
  }

  /** Reads it once. @returns whether an earlier life left a record */
  read(state: KernelState): boolean {
    if (this.#isRead) return false;
    this.#isRead = true;
    try {
      this.#text = readFileSync(this.#file, "utf8");
    } catch {
      return false; // The record is missing, or cannot be read.
    }
    return readRecord(state, this.#text);
  }

  /** To be called before any change, so that an entry is known to be this speaker's even after a crash. */
  write(state: KernelState): void {
    const text = recordText(state);
    if (text === this.#text) return;
    try {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(`${this.#file}.new`, text);
      renameSync(`${this.#file}.new`, this.#file);
      this.#text = text;
      this.#hasFailed = false;
    } catch (error) {
      // The next call tries again.
      if (!this.#hasFailed)
        this.#log.warn("what is ours in this node's kernel cannot be recorded", { op: "kernel", file: this.#file, error });
      this.#hasFailed = true;
    }
  }
}
