import { createHash } from "node:crypto";
import { type Clock, type Millis, perSecond, SourceTokens } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { Log } from "#pkg/log";

/** `tooMany`: others were tried from there; `unavailable`: the API server does not tell. */
export type Access = "allowed" | "unknownToken" | "forbidden" | "tooMany" | "unavailable";

export interface TokenAccessOptions {
  readonly cluster: Pick<Cluster, "reviewToken" | "reviewPath">;
  readonly clock: Clock;
  readonly log: Log;
}

// kube-rbac-proxy's default, or less: a right that is taken away is still there for this long.
const allowedMs: Millis = 60_000;
const refusedMs: Millis = 10_000;
const unavailableMs: Millis = 1_000;
const maxKept = 1_000;
/** Each is two requests to the API server. */
export const maxReviews = { perSecond: 50, perSecondOfOneSource: 5, atOnce: 8 } as const;

interface Kept {
  readonly access: Promise<Access>;
  until: Millis;
}

/** Asks the API server for the user of a token, and keeps its answers for a while. Only hashes of tokens are kept. */
export class TokenAccess {
  readonly #options: TokenAccessOptions;
  readonly #kept = new RecentMap<string, Kept>(maxKept); // hash of a token, and path -> answer
  readonly #reviews: SourceTokens;
  #underWay = 0;
  #isFailing = false;

  constructor(options: TokenAccessOptions) {
    this.#options = options;
    this.#reviews = new SourceTokens(
      { ofSource: perSecond(maxReviews.perSecondOfOneSource), all: perSecond(maxReviews.perSecond) },
      options.clock.now(),
    );
  }

  /** @param from the client's address */
  decide(token: string, path: string, from: string): Promise<Access> {
    const now = this.#options.clock.now();
    const key = `${createHash("sha256").update(token).digest("base64")} ${path}`;
    const known = this.#kept.get(key);
    if (known !== undefined && now < known.until) return known.access;
    if (this.#underWay >= maxReviews.atOnce || !this.#reviews.take(from, now)) return Promise.resolve("tooMany");
    const kept: Kept = { access: this.#review(token, path), until: Infinity };
    this.#kept.set(key, kept);
    void kept.access.then((access) => {
      const keepMs = access === "allowed" ? allowedMs : access === "unavailable" ? unavailableMs : refusedMs;
      kept.until = this.#options.clock.now() + keepMs;
    });
    return kept.access;
  }

  async #review(token: string, path: string): Promise<Access> {
    const { cluster, log } = this.#options;
    this.#underWay++;
    try {
      const user = await cluster.reviewToken(token);
      const access = user === undefined ? "unknownToken" : (await cluster.reviewPath(user, path)) ? "allowed" : "forbidden";
      if (this.#isFailing) log.info("the API server says again whether a request is allowed", { op: "http" });
      this.#isFailing = false;
      return access;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#isFailing) log.error("cannot ask the API server whether a request is allowed", { op: "http", path, error });
      this.#isFailing = true; // Anybody may send ever other tokens.
      return "unavailable";
    } finally {
      this.#underWay--;
    }
  }
}
