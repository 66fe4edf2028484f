/** An interface that the configuration names by its second name (altname), and addresses with labels. Run by `sockets.test.ts`, in a network namespace of its own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { SystemClock } from "#pkg/clock";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { BgpListener } from "../driver/listener.ts";
import { forgetInterfaces, interfacesNow, sourceNow, tcpTransport } from "../driver/tcp.ts";
import type { SocketEnd } from "../driver/transport.ts";
import { settings } from "./settings.ts";

const ip = (line: string) => execFileSync("ip", line.split(" "), { encoding: "utf8" });
ip("link set lo up");
ip("link add made0 type bridge");
ip("link property add dev made0 altname second0");
ip("link set made0 address 02:00:00:00:00:01 up");
ip("link add port0 type veth peer name end0");
ip("link set port0 master made0 up");
ip("link set end0 up");
ip("address add 192.0.2.5/24 dev made0");
ip("address add 192.0.2.6/32 dev made0 label made0:1");
ip("address add 2001:db8::5/64 dev made0 nodad");
ip("address add fe80::5/64 dev made0 nodad");

assert.deepEqual(sourceNow("second0", address("192.0.2.1"), undefined), address("192.0.2.5"));
ip("link set end0 down");
ip("link set end0 name büro0");
ip("link set büro0 up");
ip("address add 2001:db8:1::5/64 dev büro0 nodad");
forgetInterfaces();
const flagsOf = (name: string, own: string) =>
  interfacesNow()
    .get(name)
    ?.find((one) => `${one.address}` === own)?.flags;
assert.notEqual(flagsOf("made0", "192.0.2.6"), undefined, "of an address with a label");
assert.notEqual(flagsOf("made0", "2001:db8::5"), undefined);
assert.notEqual(flagsOf("büro0", "2001:db8:1::5"), undefined, "of an interface with a name that is not ASCII");

// The router is this node itself, so that there is somebody who answers.
const server = createServer().listen({ host: "fe80::5%made0", port: 0 });
await once(server, "listening");
const { port } = server.address() as { port: number };
const peer = settings({ address: address("fe80::5"), interface: "second0", port });
const end = await new Promise<SocketEnd>((resolve, reject) => {
  const connection = tcpTransport.dial(peer, {
    connected: (one) => {
      resolve(one);
      connection.destroy();
    },
    received() {},
    closed: reject,
  });
});
server.close();
assert.equal(end.interface, "made0");
assert.deepEqual([...end.addresses.values()].map(String).sort(), ["192.0.2.5", "2001:db8::5"]);

using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
await listener.start();
const accepted = Promise.withResolvers<SocketEnd>();
listener.expect(peer, (incoming) => accepted.resolve(incoming.end));
const client = connect({ host: "fe80::5%made0", port: listener.port });
client.on("close", () => accepted.reject(new Error("the connection was closed")));
assert.equal((await accepted.promise).interface, "made0");
client.destroy();
process.exit(0);
