import type { Clock, Millis, Portions, Random } from "#pkg/clock";
import { EventQueue } from "#pkg/collections";
import type { SessionSettings } from "#pkg/config";
import type { Log } from "#pkg/log";
import type { Family } from "#pkg/net";
import type { UpdateSession } from "../codec/attribute-rules.ts";
import { decodeMessage, encodeMessage } from "../codec/message-codec.ts";
import { type Keepalive, type Message, type Notification, type Open, type Update, unicastFamily } from "../codec/messages.ts";
import { ceaseOf } from "../codec/notification-codec.ts";
import { type Cease, NotificationError } from "../codec/notification-error.ts";
import type { Effect, Event } from "../session/events.ts";
import { step } from "../session/fsm.ts";
import { isAgreed, type Negotiated, newSession, nextDeadline, type Reason, type Session } from "../session/state.ts";
import type { BgpListener } from "./listener.ts";
import { ClosingConnections, PeerConnection } from "./peer-connection.ts";
import { newPeerCounters, type PeerView, peerView, sessionView, type Up } from "./peer-view.ts";
import { RouteBatches, type Routes } from "./route-batches.ts";
import { SessionLog } from "./session-log.ts";
import { type Incoming, routerIdOf, type SocketEnd, type Transport } from "./transport.ts";

export interface PeerSessionOptions {
  readonly settings: SessionSettings;
  readonly routes: Routes;
  /** Called when a session is established, and when it is over. */
  readonly onEstablished?: (() => void) | undefined;
  readonly onDown?: (() => void) | undefined;
  /** The node's name, for a router identifier where nothing else gives one. */
  readonly node: string;
  /** A process before this one may have had a session with the peer: sets the R bit of the first OPENs (RFC 4724). */
  readonly restarting: boolean;
  /** Announced addresses stayed reachable while the process was away (RFC 4724, the F bit): the kernel forwards, not this process. */
  readonly forwardingPreserved: boolean;
  readonly transport: Transport;
  /** Accepts connections that the peer opens; without it the peer cannot connect. */
  readonly listener?: Pick<BgpListener, "expect" | "listens"> | undefined;
  /** Messages are made in them, a batch in each. All sessions of a process share them. */
  readonly portions: Pick<Portions, "do">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A timer later than this lets pending input be read first: it may prove the timer wrong. */
const late: Millis = 100;

/** The session with one peer. Faults of the peer and of the network are logged and shown by `describe`, never thrown. */
export class PeerSession {
  readonly #options: PeerSessionOptions;
  readonly #log: SessionLog;
  readonly #counters = newPeerCounters();
  readonly #connections = new Map<number, PeerConnection>(); // connection -> its connection
  readonly #closing = new ClosingConnections();
  readonly #events: EventQueue<{ readonly event: Event; readonly incoming: Incoming | undefined }>;
  #session: Session;
  #enteredAt: Millis;
  /** Since when there has been no session, but for some that ended before they were stable. */
  #downAt: Millis;
  readonly #batches: RouteBatches;
  #up: Up | undefined;
  #lastEnd: SocketEnd | undefined;
  /** A batch has been asked for. */
  #isPumping = false;
  #expecting: Disposable | undefined;
  #timer: { readonly at: Millis; readonly scheduled: Disposable } | undefined;

  constructor(options: PeerSessionOptions) {
    const { settings, restarting, forwardingPreserved, clock, log } = options;
    this.#options = options;
    this.#batches = new RouteBatches(options, this.#counters.sent);
    this.#log = new SessionLog(log);
    this.#session = newSession({ settings, restarting, forwardingPreserved });
    this.#events = new EventQueue(
      ({ event, incoming }) => this.#step(event, incoming),
      () => this.#arm(),
    );
    this.#enteredAt = clock.now();
    this.#downAt = clock.now();
  }

  start(isKnown = false): void {
    this.#expect();
    this.#dispatch({ type: "start", isKnown });
  }

  /** Goes on with other settings: in the same session, or in a new one where they take that (`needsRestart`). */
  configure(settings: SessionSettings): void {
    this.#dispatch({ type: "settings", settings });
    if (this.#session.running) this.#expect();
  }

  /** There may be something to send. */
  routesChanged(): void {
    this.#pump();
  }

  /** Interfaces of the node may have other addresses, which are next hops. */
  addressesChanged(): void {
    const connection = this.#up && this.#connections.get(this.#up.connection);
    if (connection?.end === undefined) return;
    connection.end = this.#options.transport.endNow(connection.end, this.#session.settings);
    this.#options.routes.setAddresses(connection.end);
    this.#pump();
  }

  get established(): boolean {
    return this.#up !== undefined;
  }

  /** Closes an open session with a Cease and retries after the back-off. `text` is the reason; see `close`. */
  reset(cease: keyof typeof Cease, text: string): void {
    this.#dispatch({ type: "reset", notification: ceaseOf(cease, text), because: text });
  }

  /** Tries again now instead of at the end of the back-off. */
  retry(): void {
    this.#dispatch({ type: "retry" });
  }

  /**
   * Ends the session with a Cease (RFC 4486) until it is started again. The NOTIFICATION carries `text` (RFC 9003) where the subcode has room for
   * it. Resolves when it is sent and the peer has closed its side too, at the latest after 3 s.
   */
  async close(cease: keyof typeof Cease, text: string): Promise<void> {
    this.#expecting?.[Symbol.dispose](); // It keeps its place for the next start.
    this.#dispatch({ type: "stop", notification: ceaseOf(cease, text), because: text });
    await this.closed();
  }

  /** Resolves when the peer has closed its side, too, of all connections that were closed so far. */
  async closed(): Promise<void> {
    await this.#closing.gone();
  }

  describe(): PeerView {
    const { clock, routes } = this.#options;
    const facts = {
      session: this.#session,
      accepts: this.#options.listener?.listens(this.#session.settings.address.family) === true,
      enteredAt: this.#enteredAt,
      downAt: this.#downAt,
      unsendableSince: this.#batches.unsendableSince,
      up: this.#up,
      end: this.#end,
      lastEnd: this.#lastEnd,
      counters: this.#counters,
      routes,
    };
    return peerView(facts, clock.now());
  }

  /** This side's end of the established connection. */
  get #end(): SocketEnd | undefined {
    return this.#up && this.#connections.get(this.#up.connection)?.end;
  }

  /** Accepts the peer's connections under the present settings. */
  #expect(): void {
    const { listener, log } = this.#options;
    const accept = (incoming: Incoming) => {
      const isElsewhere = this.#end?.address.equals(incoming.end.address) === false;
      this.#dispatch({ type: "accepted", routerId: this.#routerId(incoming.end), isElsewhere }, incoming);
    };
    try {
      this.#expecting = listener?.expect(this.#session.settings, accept, this.#expecting);
    } catch (error) {
      log.error("connections of the peer cannot be accepted", { op: "bgpListen", error });
    }
  }

  #routerId(end: SocketEnd): Open["routerId"] {
    return routerIdOf(this.#session.settings, end, this.#options.node);
  }

  #dispatch(event: Event, incoming?: Incoming): void {
    this.#events.push({ event, incoming });
  }

  #step(event: Event, incoming: Incoming | undefined): void {
    const { clock, random } = this.#options;
    const [session, effects] = step(this.#session, event, clock.now(), random);
    this.#session = session;
    for (const effect of effects) this.#carryOut(effect, incoming);
  }

  /** Sets the one timer, where the next deadline is another than before. */
  #arm(): void {
    const at = nextDeadline(this.#session);
    if (at === this.#timer?.at) return;
    this.#timer?.scheduled[Symbol.dispose]();
    const { clock } = this.#options;
    const fire = (): void => {
      this.#timer = undefined;
      this.#dispatch({ type: "timer" });
    };
    // After a stall, messages that the peer sent in time are still to be read, and are read before a timer that is set now.
    const look = (): void => {
      if (clock.now() - at <= late) fire();
      else this.#timer = { at, scheduled: clock.schedule("BGP", clock.now(), fire) };
    };
    this.#timer = at === Infinity ? undefined : { at, scheduled: clock.schedule("BGP", at, look) };
  }

  #carryOut(effect: Effect, incoming: Incoming | undefined): void {
    switch (effect.type) {
      case "dial":
        this.#closing.whenGone(() => this.#dial(effect.connection));
        break;
      case "adopt":
        if (incoming === undefined) break;
        this.#lastEnd = incoming.end;
        this.#open(effect.connection, (events) => incoming.open(events), incoming.end);
        break;
      case "refuse":
        if (incoming !== undefined) this.#refuse(effect, incoming);
        break;
      case "send":
        this.#send(effect.connection, effect.message);
        break;
      case "close":
        this.#close(this.#connections.get(effect.connection));
        this.#connections.delete(effect.connection);
        break;
      case "established":
        this.#established(effect.connection, effect.negotiated);
        break;
      case "down":
        this.#up = undefined;
        if (this.#session.flaps <= 1) this.#downAt = this.#options.clock.now();
        this.#options.routes.stop();
        this.#batches.noteUnsendable();
        this.#counters.flaps++;
        this.#ended(effect.reason);
        this.#options.onDown?.();
        break;
      case "failed":
        this.#ended(effect.reason);
        break;
      case "update":
        this.#update(effect.update);
        break;
      case "endOfRib":
        this.#options.routes.repeatEnd();
        this.#pump();
        break;
      case "refresh":
        this.#options.routes.refresh(effect.family);
        this.#pump();
        break;
      case "transition":
        this.#enteredAt = this.#options.clock.now();
        this.#log.transition(effect, this.#session, sessionView(this.#session, this.#up, this.#end), this.#enteredAt);
        break;
      default:
        effect satisfies never;
    }
  }

  #ended({ type }: Reason): void {
    if (type === "holdTimerExpired") this.#counters.holdTimerExpirations++;
  }

  #dial(id: number): void {
    if (this.#session.connections.some((one) => one.id === id))
      this.#open(id, (events) => this.#options.transport.dial(this.#session.settings, events));
  }

  #open(id: number, open: ConstructorParameters<typeof PeerConnection>[0], end?: SocketEnd): void {
    const connection = new PeerConnection(
      open,
      {
        connected: (end) => {
          this.#lastEnd = end;
          this.#dispatch({ type: "connected", connection: id, routerId: this.#routerId(end) });
        },
        received: (octets) => this.#receive(id, connection, octets),
        closed: (because, code) => {
          this.#connections.delete(id);
          this.#dispatch({ type: "lost", connection: id, because, code });
        },
      },
      this.#options.clock,
      end,
    );
    this.#connections.set(id, connection);
  }

  #refuse({ notification, because }: Extract<Effect, { type: "refuse" }>, incoming: Incoming): void {
    const connection = new PeerConnection(
      (events) => incoming.open(events),
      { connected() {}, received() {}, closed() {} },
      this.#options.clock,
      incoming.end,
    );
    this.#write(connection, notification, () => {});
    this.#close(connection);
    this.#log.refused(because);
  }

  #close(connection: PeerConnection | undefined): void {
    if (connection !== undefined) this.#closing.add(connection);
  }

  #receive(id: number, connection: PeerConnection, octets: Uint8Array): void {
    connection.reader.push(octets);
    try {
      while (connection.open) {
        const next = this.#nextMessage(id, connection);
        if (next === undefined) return;
        const { message } = next;
        this.#counters.received[message.type]++;
        if (message.type === "notification")
          this.#counters.notificationReceived = { notification: message, at: this.#options.clock.now() };
        this.#dispatch({ type: "message", connection: id, ...next });
      }
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#dispatch({ type: "malformed", connection: id, notification: error.notification, because: error.message });
    }
  }

  /** @throws {NotificationError} */
  #nextMessage(id: number, connection: PeerConnection): { message: Message; octets: number } | undefined {
    const state = this.#session.connections.find((one) => one.id === id);
    const negotiated = state !== undefined && isAgreed(state) ? state.negotiated : undefined;
    const frame = connection.reader.next(negotiated?.extendedMessage ?? false);
    if (frame === undefined) return undefined;
    return { message: decodeMessage(frame, this.#updateSession(negotiated)), octets: frame.body.length };
  }

  #updateSession(negotiated: Negotiated | undefined): UpdateSession {
    const { myAsn, peerAsn } = this.#session.settings;
    const plain = { families: new Set<Family>(["IPv4"]), fourOctetAsn: false, extendedNextHop: false };
    return { ...(negotiated ?? plain), internal: myAsn === peerAsn };
  }

  #send(id: number, message: Open | Keepalive | Notification): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return; // It broke: what is written is lost anyway.
    this.#write(connection, message, () => this.#dispatch({ type: "written", connection: id }));
  }

  #write(connection: PeerConnection, message: Open | Keepalive | Notification, written: () => void): void {
    this.#counters.sent[message.type]++;
    if (message.type === "notification")
      this.#counters.notificationSent = { notification: message, at: this.#options.clock.now() };
    connection.write(encodeMessage(message), written);
  }

  #established(id: number, negotiated: Negotiated): void {
    const connection = this.#connections.get(id);
    if (connection?.end === undefined) return; // It broke: `lost` comes next.
    connection.end = this.#options.transport.endNow(connection.end, this.#session.settings);
    const { addresses, linkLocal } = connection.end;
    const { myAsn, peerAsn, role, discovery } = this.#session.settings;
    this.#up = { connection: id, sending: false, prefixesReceived: 0, complete: new Set() };
    const local = { asn: myAsn, internal: myAsn === peerAsn, role, addresses, linkLocal };
    this.#options.routes.start(negotiated, { ...local, unnumbered: discovery?.by === "advertisements" });
    this.#pump();
    this.#options.onEstablished?.();
  }

  /** Sends what there is to send, a batch at a time. */
  #pump(): void {
    if (this.#up === undefined || this.#up.sending || this.#isPumping) return;
    this.#isPumping = true;
    this.#options.portions.do(() => {
      this.#isPumping = false;
      this.#sendBatch();
    });
  }

  /** Hands over messages up to the limit of the connection, and the next ones when the kernel has accepted these. */
  #sendBatch(): void {
    const up = this.#up;
    if (up === undefined || up.sending) return;
    const messages = this.#batches.take();
    if (messages.length === 0) {
      if (this.#options.routes.pending > 0) this.#pump(); // Routes have been looked at, and none of them was to be sent.
      return;
    }
    up.sending = true;
    this.#connections.get(up.connection)?.write(Buffer.concat(messages), () => {
      up.sending = false;
      this.#dispatch({ type: "written", connection: up.connection });
      if (this.#up === up) this.#pump();
    });
  }

  #update({ announced, endOfRib, forgiven }: Update): void {
    const up = this.#up;
    if (up === undefined) return;
    up.prefixesReceived += announced;
    const family = endOfRib === undefined ? undefined : unicastFamily(endOfRib);
    if (family !== undefined) up.complete.add(family);
    if (forgiven.length > 0) this.#log.forgiven(forgiven);
  }
}
