import type { Millis, Random } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import { type Family, families } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { encodeMessage, encodeRouteRefresh } from "../codec/message-codec.ts";
import { MessageReader } from "../codec/message-reader.ts";
import { type Notification, type Open, unicast, unicastFamily } from "../codec/messages.ts";
import { NotificationError } from "../codec/notification-error.ts";
import { type ReadMessage, type ReadUpdate, readMessage } from "../codec/testing/update-reader.ts";
import { encodeEndOfRib } from "../codec/update-encoder.ts";
import type { Connection, Incoming, Transport } from "../driver/transport.ts";
import { negotiate } from "../session/negotiation.ts";
import type { Negotiated } from "../session/state.ts";
import { type ModelRoute, ModelRoutes, type ModelRoutesOptions } from "./model-routes.ts";
import { type ModelSettings, openOf } from "./model-settings.ts";
import { type UpdateShape, updateOf } from "./model-updates.ts";
import { settings } from "./settings.ts";
import type { SimulatedNetwork } from "./simulated-network.ts";

export interface ModelRouterOptions extends ModelRoutesOptions {
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly own: string;
  readonly neighbor: string;
  /** A key of TCP MD5 is the same at both ends, where one of them dials. */
  readonly hasSameKey: () => boolean;
  readonly onEvent: (what: string) => void;
}

interface Attempt {
  readonly connection: Connection;
  readonly reader: MessageReader;
  readonly incoming: boolean;
  readonly ours: Open;
  theirs: Open | undefined;
  negotiated: Negotiated | undefined;
  state: "openSent" | "openConfirm" | "established";
  heardAt: Millis;
  keepaliveAt: Millis;
  /** When what it sends has arrived last, and whether none did for the hold time. */
  arrivedAt: Millis;
  isUnheard: boolean;
  /** Its own OPEN follows the neighbor's. */
  isDelayed: boolean;
  /** It was agreed on when another one collided with it, and stays by the rule. */
  hasWon: boolean;
  /** It answers nothing and hears nothing any more. */
  isOver: boolean;
}

const retryTime: Millis = 10_000;
const cease = (subcode: number, data = new Uint8Array()): Notification => ({ type: "notification", code: 6, subcode, data });

/**
 * A router in simulated time that keeps to the RFCs and takes what they allow it: it dials and resolves collisions (RFC 4271, section 6.8),
 * keeps routes of a neighbor that restarts (RFC 4724, 8538, 9494), asks for routes again (RFC 2918, 7313), and ends sessions for its
 * limits (RFC 4486) and its configuration. It says what violates a rule.
 */
export class ModelRouter {
  readonly #options: ModelRouterOptions;
  settings: ModelSettings;
  readonly #routes: ModelRoutes;
  readonly #attempts = new Set<Attempt>();
  #dialled: { readonly connection: Connection; readonly at: Millis } | undefined; // It is not connected yet.
  /** Counts lives: what a former life has scheduled does nothing. */
  #life = 0;
  #runs = false;
  #isInHurry = false;
  /** It may have no session before. */
  #heldUntil: Millis = -Infinity;
  #dialAt: Millis = Infinity;
  /** It restarted and has kept its routes. */
  #restarting = false;
  /** How the last session ended that the neighbor has ended. */
  endedBy: "hard" | "notification" | undefined;

  constructor(options: ModelRouterOptions, settings: ModelSettings) {
    this.#options = options;
    this.settings = settings;
    this.#routes = new ModelRoutes(options);
  }

  /** prefix and path identifier -> route */
  get routes(): ReadonlyMap<string, ModelRoute> {
    return this.#routes.all;
  }

  get established(): Attempt | undefined {
    return this.#attempts.values().find(({ state }) => state === "established");
  }

  get heldUntil(): Millis {
    return this.#heldUntil;
  }

  get runs(): boolean {
    return this.#runs;
  }

  /** Whether it takes a connection now. */
  get isReady(): boolean {
    return this.#runs && this.settings.is !== "shutDown" && this.#options.clock.now() >= this.#heldUntil;
  }

  start(restarting: boolean): void {
    const { network, own, clock } = this.#options;
    this.#life++;
    this.#runs = true;
    this.#restarting = restarting;
    this.#heldUntil = -Infinity;
    network.listener(own).expect(settings(), (incoming) => this.#accept(incoming));
    this.#tick(this.#life);
    this.#dialLater(1_000);
    if (restarting) this.#routes.keep(120_000);
    else this.#routes.clear();
    const life = this.#life;
    if (restarting)
      clock.schedule("router", clock.now() + 120_000, () => {
        if (this.#life === life) this.#restarting = false;
      });
  }

  /** Its process ends, and its kernel closes the connections; where that is to be a graceful restart it goes on forwarding. */
  stop(keepsRoutes: boolean): void {
    this.#life++;
    this.#runs = false;
    for (const attempt of this.#attempts) this.#drop(attempt);
    this.#dialled?.connection.destroy();
    this.#dialled = undefined;
    this.#routes.stop(keepsRoutes);
  }

  /** It gets another configuration, which ends its sessions, with a word or without one. */
  configure(changed: Partial<ModelSettings>, says: boolean): void {
    this.settings = { ...this.settings, ...changed };
    this.#heldUntil = -Infinity;
    const subcode = this.settings.is === "shutDown" ? 2 : 6;
    for (const attempt of [...this.#attempts]) {
      if (says) this.#notify(attempt, cease(subcode), subcode === 2);
      else this.#end(attempt, subcode !== 2);
    }
    this.#dialLater(500);
  }

  /** An operator clears the session, or an error ends it. */
  notify(code: number, subcode: number): void {
    const { established } = this;
    if (established === undefined) return;
    this.#notify(established, { type: "notification", code, subcode, data: new Uint8Array() }, false);
    this.#heldUntil = this.#options.clock.now() + (code === 6 ? 0 : this.settings.waitAfterError);
    this.#dialLater(this.settings.waitAfterError + 1_000);
  }

  /** It connects at once when its session is lost next. */
  hurry(): void {
    this.#isInHurry = true;
  }

  /** BFD found the path gone: it keeps no routes (RFC 9384, section 3). @returns whether there was a session */
  pathFailed(): boolean {
    const { established } = this;
    if (established === undefined) return false;
    this.#notify(established, cease(10), true);
    return true;
  }

  refresh(family: Family): void {
    const { established } = this;
    if (established?.negotiated?.routeRefresh && established.negotiated.families.has(family))
      this.#write(established, encodeRouteRefresh(family, "request"));
  }

  /** It tells its own routes. */
  tell(shape: UpdateShape, times: number): void {
    const { established } = this;
    if (established?.negotiated === undefined) return;
    const update = updateOf(shape, [this.settings.asn, this.settings.peerAsn], established.negotiated);
    this.#write(established, Buffer.concat(Array.from({ length: times }, () => update))); // As TCP carries them.
  }

  /** Another one has its place and its address. */
  replace(settings: ModelSettings): void {
    this.stop(false);
    this.settings = settings;
    this.start(false);
  }

  #accept(incoming: Incoming): void {
    if (!this.isReady || !this.#options.hasSameKey()) {
      incoming.open({ connected() {}, received() {}, closed() {} }).destroy();
      return;
    }
    const { established } = this;
    if (this.settings.another !== "taken" && established !== undefined) {
      const connection = incoming.open({ connected() {}, received() {}, closed() {} });
      if (this.settings.another === "closed") connection.destroy();
      return;
    }
    if (this.settings.isRestartOfConnection && established?.negotiated?.gracefulRestart) {
      this.#options.onEvent("the neighbor restarted, as it connects");
      this.#end(established, true);
    }
    this.#open((events) => incoming.open(events), true);
  }

  #open(open: (events: Parameters<Transport["dial"]>[1]) => Connection, incoming: boolean): void {
    const { clock } = this.#options;
    const life = this.#life;
    let attempt: Attempt | undefined;
    const begin = (connection: Connection) => {
      this.#dialled = incoming ? this.#dialled : undefined;
      const ours = openOf(this.settings, this.#restarting);
      attempt = {
        connection,
        reader: new MessageReader(),
        incoming,
        ours,
        theirs: undefined,
        negotiated: undefined,
        state: "openSent",
        heardAt: clock.now(),
        keepaliveAt: -Infinity,
        arrivedAt: clock.now(),
        isUnheard: false,
        isDelayed: incoming && this.settings.delaysOpen,
        hasWon: false,
        isOver: false,
      };
      this.#attempts.add(attempt);
      if (!attempt.isDelayed) this.#write(attempt, encodeMessage(ours));
    };
    const connection: Connection = open({
      connected: () => {
        if (life === this.#life) begin(connection);
      },
      received: (octets) => {
        if (attempt !== undefined && !attempt.isOver) this.#read(attempt, octets);
      },
      closed: () => {
        if (life !== this.#life) return;
        if (attempt === undefined) {
          if (this.#dialled?.connection === connection) this.#dialled = undefined;
        } else if (!attempt.isOver) this.#end(attempt, true);
      },
    });
    if (incoming) begin(connection);
    else this.#dialled = { connection, at: clock.now() };
  }

  #read(attempt: Attempt, octets: Uint8Array): void {
    attempt.heardAt = this.#options.clock.now();
    attempt.reader.push(octets);
    try {
      for (;;) {
        const agreed = attempt.negotiated;
        const frame = attempt.reader.next(agreed?.extendedMessage ?? false);
        if (frame === undefined) return;
        const plain = { families: new Set<Family>(["IPv4"]), fourOctetAsn: false, extendedNextHop: false };
        const internal = this.settings.asn === this.settings.peerAsn;
        const message = readMessage(frame, { ...plain, ...agreed, internal, ...(agreed && { pathsReceived: agreed.addPath }) });
        if (!attempt.isOver) this.#receive(attempt, message);
      }
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#options.onViolation(`malformed: ${error.message}`);
      this.#notify(attempt, error.notification, false);
    }
  }

  #receive(attempt: Attempt, message: ReadMessage): void {
    switch (message.type) {
      case "open":
        this.#opened(attempt, message);
        break;
      case "keepalive":
        if (attempt.state === "openConfirm") this.#establish(attempt);
        break;
      case "notification": {
        this.#options.onEvent(`received ${message.code}/${message.subcode}`);
        const collides = message.code === 6 && message.subcode === 7 && attempt.state === "openConfirm";
        if (collides && attempt.hasWon && !this.#isBeaten(attempt))
          this.#options.onViolation("it closed the connection that stays (RFC 4271, section 6.8)");
        this.endedBy = message.code === 6 && message.subcode === 9 ? "hard" : "notification";
        const keeps = attempt.negotiated?.gracefulNotification === true && !(message.code === 6 && message.subcode === 9);
        const isExpired = message.code === 4 && (attempt.isUnheard || this.#isUnheard(attempt));
        if (attempt.state === "established" && message.code !== 6 && !isExpired)
          this.#options.onViolation(`ended with ${message.code}/${message.subcode}`);
        this.#end(attempt, keeps, false, this.settings.closesAfter);
        break;
      }
      case "update":
        if (attempt.state === "established") this.#update(attempt, message);
        else this.#options.onViolation(`an UPDATE in ${attempt.state}`);
        break;
      case "routeRefresh":
        if (!attempt.negotiated?.enhancedRouteRefresh) this.#options.onViolation(`a mark of RFC 7313: ${message.subtype}`);
        this.#routes.mark(unicastFamily(message), message.subtype === "beginning");
        break;
      default:
        message satisfies never;
    }
  }

  #opened(attempt: Attempt, open: Open): void {
    if (attempt.state !== "openSent") {
      this.#options.onViolation(`an OPEN in ${attempt.state}`);
      return;
    }
    if (attempt.isDelayed) this.#write(attempt, encodeMessage(attempt.ours));
    if (this.settings.is === "refusing") {
      this.#notify(attempt, { type: "notification", code: 2, subcode: 7, data: new Uint8Array() }, false);
      this.#dialLater(this.settings.waitAfterError);
      return;
    }
    const { asn, peerAsn, families, holdTimeSeconds, role, roleStrict } = this.settings;
    const mine: SessionSettings = settings({
      myAsn: asn,
      peerAsn,
      families,
      holdTimeSeconds,
      keepaliveSeconds: 0,
      role,
      roleStrict,
    });
    const agreement = negotiate(mine, attempt.ours, open);
    if ("because" in agreement) {
      this.#options.onEvent(`refuses: ${agreement.because}`);
      this.#notify(attempt, agreement.notification, false);
      this.#heldUntil = this.#options.clock.now() + this.settings.waitAfterError;
      this.#dialLater(this.settings.waitAfterError + 1_000);
      return;
    }
    const restart = open.capabilities.find((one) => one.type === "gracefulRestart");
    for (const other of [...this.#attempts]) {
      if (other === attempt || other.state === "openSent") continue;
      if (other.state === "established") {
        if (attempt.incoming && restart !== undefined && other.negotiated?.gracefulRestart === true) {
          this.#options.onEvent("the neighbor restarted");
          this.#end(other, true);
          continue;
        }
        this.#notify(attempt, cease(7), false);
        return;
      }
      const higher = attempt.ours.routerId.compare(open.routerId) > 0;
      if (higher === attempt.incoming) {
        other.hasWon = true;
        this.#notify(attempt, cease(7), false);
        return;
      }
      this.#notify(other, cease(7), false);
    }
    attempt.theirs = open;
    attempt.negotiated = {
      ...agreement,
      addPath: new Set(agreement.families.values().filter((each) => this.#getsPaths(open, each))),
    };
    attempt.state = "openConfirm";
    this.#write(attempt, encodeMessage({ type: "keepalive" }));
  }

  #write(attempt: Attempt, octets: Uint8Array): void {
    attempt.connection.write(octets, () => {
      attempt.isUnheard ||= this.#isUnheard(attempt);
      attempt.arrivedAt = this.#options.clock.now();
    });
  }

  /** The neighbor's hold timer has expired, unless it has another reason to go on. */
  #isUnheard({ arrivedAt, negotiated }: Attempt): boolean {
    const { holdTimeSeconds } = negotiated ?? { holdTimeSeconds: 0 };
    return holdTimeSeconds > 0 && this.#options.clock.now() - arrivedAt >= holdTimeSeconds * 1000;
  }

  /** The neighbor may have heard of another connection that stays, in whose stead this one has won against a third. */
  #isBeaten({ incoming, ours, theirs }: Attempt): boolean {
    const higher = theirs !== undefined && ours.routerId.compare(theirs.routerId) > 0;
    return higher === incoming && this.#attempts.values().some((other) => other.incoming !== incoming);
  }

  #getsPaths(open: Open, family: Family): boolean {
    const offered = open.capabilities.flatMap((one) => (one.type === "addPath" ? one.families : []));
    return this.settings.addPath && offered.some((one) => unicastFamily(one) === family && one.direction !== "receive");
  }

  #establish(attempt: Attempt): void {
    this.endedBy = undefined;
    attempt.state = "established";
    const restart = attempt.theirs?.capabilities.find((one) => one.type === "gracefulRestart");
    this.#routes.begin((family) => {
      const offered = restart?.families.find((one) => unicastFamily(one) === family);
      return offered?.forwardingPreserved === true && attempt.negotiated?.families.has(family) === true;
    });
    for (const family of attempt.negotiated?.families ?? []) this.#write(attempt, encodeEndOfRib(family));
    this.#options.onEvent(`established${attempt.incoming ? "" : " by dialling"}`);
  }

  #update(attempt: Attempt, update: ReadUpdate): void {
    this.#routes.update(update, attempt.negotiated?.addPath ?? new Set());
    const { prefixLimit } = this.settings;
    const family = families.find((each) => this.#routes.count(each) > prefixLimit);
    if (family === undefined) return;
    const view = new DataView(new ArrayBuffer(7));
    view.setUint16(0, unicast[family].afi);
    view.setUint8(2, 1);
    view.setUint32(3, prefixLimit);
    this.#notify(attempt, cease(1, new Uint8Array(view.buffer)), true);
    this.#heldUntil = Infinity; // Until an operator raises it.
  }

  /** @param forGood it keeps no routes */
  #notify(attempt: Attempt, notification: Notification, forGood: boolean): void {
    this.#options.onEvent(`sends ${notification.code}/${notification.subcode}`);
    const hard = attempt.negotiated?.gracefulNotification && forGood;
    const said = hard ? cease(9, new Uint8Array([notification.code, notification.subcode, ...notification.data])) : notification;
    attempt.connection.write(encodeMessage(said), () => {});
    this.#end(attempt, attempt.negotiated?.gracefulNotification === true && !forGood, true);
  }

  #end(attempt: Attempt, keeps: boolean, isPolite = false, closesAfter: Millis = 0): void {
    if (attempt.isOver) return;
    const { state, negotiated, theirs } = attempt;
    this.#attempts.delete(attempt);
    attempt.isOver = true;
    if (isPolite) attempt.connection.end();
    else this.#options.clock.schedule("router", this.#options.clock.now() + closesAfter, () => attempt.connection.destroy());
    if (state !== "established") return;
    this.#dialLater(this.#isInHurry ? 0 : retryTime);
    if (this.#isInHurry) this.#dial();
    this.#isInHurry = false;
    const restart = theirs?.capabilities.find((one) => one.type === "gracefulRestart");
    const longer = theirs?.capabilities.find((one) => one.type === "longLivedGracefulRestart");
    const isKept = keeps && this.settings.gracefulRestart && negotiated?.gracefulRestart === true && restart !== undefined;
    const isCovered = (family: Family) => isKept && restart.families.some((one) => unicastFamily(one) === family);
    this.#routes.end(isCovered);
    const longMs = negotiated?.longLivedGracefulRestart ? (longer?.families[0]?.staleSeconds ?? 0) * 1000 : 0;
    if (isKept) this.#routes.keep(restart.timeSeconds * 1000 + longMs);
    this.#options.onEvent(`lost the session${isKept ? " and keeps routes" : ""}`);
  }

  /** Without a word. */
  #drop(attempt: Attempt): void {
    this.#attempts.delete(attempt);
    attempt.isOver = true;
    attempt.connection.destroy();
  }

  #dialLater(ms: Millis): void {
    const { clock, random } = this.#options;
    this.#dialAt = clock.now() + Math.floor(ms * (0.75 + 0.25 * random()));
  }

  /** Runs timers each second, and connects where there is no session. */
  #tick(life: number): void {
    if (life !== this.#life) return;
    const { clock } = this.#options;
    const now = clock.now();
    if (this.#dialled !== undefined && now - this.#dialled.at > retryTime) {
      this.#dialled.connection.destroy();
      this.#dialled = undefined;
    }
    for (const attempt of [...this.#attempts]) {
      const holdMs = (attempt.negotiated?.holdTimeSeconds ?? 240) * 1000;
      if (holdMs > 0 && now - attempt.heardAt >= holdMs)
        this.#notify(attempt, { type: "notification", code: 4, subcode: 0, data: new Uint8Array() }, false);
      else if (attempt.negotiated !== undefined && holdMs > 0 && now >= attempt.keepaliveAt) {
        attempt.keepaliveAt = now + holdMs / 3;
        this.#write(attempt, encodeMessage({ type: "keepalive" }));
      }
    }
    this.#dial();
    clock.schedule("router", now + 1_000, () => this.#tick(life));
  }

  #dial(): void {
    const { clock, network, own, neighbor, hasSameKey } = this.#options;
    if (!this.settings.dials || !this.isReady || clock.now() < this.#dialAt || this.#dialled !== undefined) return;
    this.#dialLater(retryTime);
    const isAgreed = this.#attempts.values().some(({ state, incoming }) => state !== "openSent" || !incoming);
    if (!isAgreed && hasSameKey())
      this.#open((events) => network.transport(own).dial(settings({ address: address(neighbor) }), events), false);
  }
}
