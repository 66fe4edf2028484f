import { decodeNotices, encodeNotices, type Notice } from "./notice-codec.ts";

/** Of one writer, and writers: far above what there is, so that a stranger's flood has an end. */
const mostKeys = 4096;
const mostWriters = 4096;
const highestVersion = 0xffff_ffff;

type Notices = Map<string, Notice>; // key -> notice

/** A message for all members; it replaces an earlier one on the same topic. */
export interface News {
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** The notices of all members as far as they are known here. */
export class Board {
  readonly #writer: string;
  readonly #notices = new Map<string, Notices>(); // writer -> its notices
  readonly #news = new Map<string, Notice>(); // topic -> what the others have to be told
  #version = 0;

  /** @param writer this member's name */
  constructor(writer: string) {
    this.#writer = writer;
    this.#notices.set(writer, new Map());
  }

  /** Says this under the key, in place of what was said before; an empty value takes it away. The same again is no news. */
  post(key: string, value: Uint8Array): void {
    const before = this.of(this.#writer).get(key)?.value ?? new Uint8Array();
    if (!sameOctets(before, value)) this.#put({ writer: this.#writer, key, version: this.#next(), value });
  }

  /** What a member says, by key; empty values are what it no longer says. */
  of(writer: string): ReadonlyMap<string, Notice> {
    return this.#notices.get(writer) ?? new Map();
  }

  /** Takes in what came from another member. @returns what is new; what is not in the form of notices is passed over */
  merge(payload: Uint8Array): Notice[] {
    return (decodeNotices(payload) ?? []).filter((notice) => this.#merge(notice));
  }

  /** What the others have to be told since the last call, one message for each notice. */
  takeNews(): News[] {
    const news = [...this.#news].map(([topic, notice]) => ({ topic, payload: encodeNotices([notice]) }));
    this.#news.clear();
    return news;
  }

  /** All that these members and this one say, for a member that may have missed some of it; empty when nobody says anything. */
  state(writers: Iterable<string>): Uint8Array {
    const notices = [...new Set([this.#writer, ...writers])].flatMap((writer) => [...this.of(writer).values()]);
    return notices.length === 0 ? new Uint8Array() : encodeNotices(notices);
  }

  /** Forgets what a member said that will not be back. */
  forget(writer: string): void {
    if (writer !== this.#writer) this.#notices.delete(writer);
  }

  #merge(notice: Notice): boolean {
    if (notice.writer === this.#writer) {
      this.#outbid(notice);
      return false;
    }
    const its = this.#notices.get(notice.writer);
    const known = its?.get(notice.key);
    if (known === undefined ? this.#isFull(its) : notice.version <= known.version) return false;
    this.#put(notice);
    return true;
  }

  /** What somebody holds for this member's word is from an earlier life of it, unless it is known here. */
  #outbid({ key, version, value }: Notice): void {
    const own = this.of(this.#writer).get(key);
    const known = own !== undefined && (version < own.version || (version === own.version && sameOctets(value, own.value)));
    if (known || version >= highestVersion) return;
    this.#version = Math.max(this.#version, version);
    this.#put({ writer: this.#writer, key, version: this.#next(), value: own?.value ?? new Uint8Array() });
  }

  #isFull(its: Notices | undefined): boolean {
    return its === undefined ? this.#notices.size >= mostWriters : its.size >= mostKeys;
  }

  #put(notice: Notice): void {
    const its = this.#notices.get(notice.writer) ?? new Map<string, Notice>();
    this.#notices.set(notice.writer, its.set(notice.key, notice));
    this.#news.set(`${notice.writer} ${notice.key}`, notice);
  }

  #next(): number {
    this.#version = Math.min(this.#version + 1, highestVersion);
    return this.#version;
  }
}

function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}
