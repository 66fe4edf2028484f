/**
 * One of our members in a process of its own, with the flags, commands and lines of `peer/main.go`; beside those `--timing` (lan,
 * fast, auto), `--loss` (the part of arriving packets to lose, 0 to 1), `--user` (a text that goes with its view as user state), `--capture` (prints the packets that arrive, in hex) and the
 * commands `counters` and `broadcast LETTER` (a user message of that letter, as long as can be). With `--thread` the member is in a
 * thread of its own, as in a speaker: then there is no loss and no user state, no `broadcast`, but `block MILLISECONDS`, in which the main
 * thread does nothing else.
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { type Random, systemRandom } from "#pkg/clock";
import { createLog } from "#pkg/log";
import {
  Keyring,
  Memberlist,
  type MemberlistEvent,
  MemberlistThread,
  type MemberView,
  type MetadataFields,
  maxUserBytes,
  type OpenTransport,
  openSockets,
  type RingEvent,
} from "#pkg/memberlist";
import { PolledEventLoop } from "#pkg/threads";
import { type RingLine, type RingMember, textKey } from "./ring-line.ts";

const { values } = parseArgs({
  options: {
    name: { type: "string", default: "" },
    address: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "7946" },
    key: { type: "string", default: "30313233343536373839616263646566" },
    meta: { type: "string", default: "" },
    timing: { type: "string", default: "auto" },
    loss: { type: "string", default: "0" },
    user: { type: "string", default: "" },
    thread: { type: "boolean", default: false },
    capture: { type: "boolean", default: false },
  },
});

function metadata(text: string): MetadataFields {
  return new Map(text === "" ? [] : [[textKey, Buffer.from(text)]]);
}

function describe({ name, address, port, meta }: MemberView): RingMember {
  return { name, address, port, meta: Buffer.from(meta ?? "", "latin1").toString("hex") };
}

function print(line: Omit<RingLine, "at">): void {
  console.log(JSON.stringify({ ...line, at: Math.round((performance.timeOrigin + performance.now()) * 1000) }));
}

const events: Record<Extract<MemberlistEvent, { type: "member" }>["change"], string> = {
  joined: "join",
  left: "leave",
  failed: "leave",
  updated: "update",
  suspected: "suspect",
  refuted: "refute",
};

/**
 * Real sockets that lose a part of the packets that arrive, from 0 to 1; streams are left alone.
 * @param captures whether all packets that arrive are printed
 */
function lossySockets(loop: PolledEventLoop, loss: number, captures: boolean, random: Random): OpenTransport {
  const open = openSockets(loop);
  return (bind, events) =>
    open(bind, {
      ...events,
      packet: (bytes, from) => {
        if (captures) print({ event: "packet", packet: Buffer.from(bytes).toString("hex") });
        if (random() >= loss) events.packet(bytes, from);
      },
    });
}

const { name, address, port, key, meta, timing, loss, user } = values;
const bind = { address, port: Number(port) };
const pace = timing === "lan" || timing === "fast" ? timing : "auto";
const keys = [Buffer.from(key, "hex")];
const log = createLog("debug", process.stderr);

function inThisThread(): Memberlist {
  const loop = new PolledEventLoop();
  loop.start();
  return new Memberlist({
    name,
    bind,
    keyring: new Keyring(keys),
    metadata: metadata(meta),
    userState: () => Buffer.from(user),
    timing: pace,
    clock: loop,
    random: systemRandom,
    log,
    openTransport: lossySockets(loop, Number(loss), values.capture, systemRandom),
  });
}

const member = values.thread
  ? new MemberlistThread({ name, bind, keys, metadata: metadata(meta), timing: pace, log })
  : inThisThread();
member.onEvent((event: RingEvent | MemberlistEvent) => {
  if (event.type === "member") print({ event: events[event.change], member: describe(event.member) });
  if (event.type === "user") print({ event: `user ${Buffer.from(event.payload).toString().slice(0, 20)}` });
});
await member.start();
print({ event: "ready" });

async function run(command: string, argument: string): Promise<void> {
  switch (command) {
    case "members":
      return print({ event: "members", members: member.members().map(describe) });
    case "counters":
      return print({ event: "counters", counters: member.counters });
    case "join": {
      const { joined, failures } = await member.join([argument]);
      const error = failures.map(({ reason }) => reason).join("; ");
      return print({ event: "joined", joined, ...(error !== "" && { error }) });
    }
    case "broadcast":
      if (member instanceof Memberlist) member.broadcast("topic", Buffer.from(argument.repeat(maxUserBytes)));
      return print({ event: "broadcast" });
    case "block": {
      const end = performance.now() + Number(argument);
      while (performance.now() < end);
      return print({ event: "blocked" });
    }
    case "meta":
      member.setMetadata(metadata(argument));
      return print({ event: "metaSet" });
    case "leave": {
      const done = await member.leave(5_000);
      return print({ event: "left", ...(!done && { error: "not within 5 s" }) });
    }
    case "quit":
      process.exit();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command = "", ...rest] = line.split(" ");
  await run(command, rest.join(" "));
}
await member[Symbol.asyncDispose]();
