/**
 * A BGP neighbor of a node that does what no router does when asked to: `scripted-peer.ts ADDRESS ASN KIND`. It connects to the node's
 * address and offers graceful restart. `deaf` sends KEEPALIVEs and never reads; `stuck` sends its OPEN and nothing after it. Either ends
 * with its connection.
 */
import { connect } from "node:net";
import { encodeMessage } from "#pkg/bgp/testing";
import { address } from "#pkg/net/testing";

const keepaliveMs = 500;

const [node = "", asn = "", kind] = process.argv.slice(2);
const socket = connect({ host: node, port: 179 });
socket.on("close", () => process.exit());
socket.on("error", ({ message }) => console.log(message));
socket.once("connect", () => {
  const open = encodeMessage({
    type: "open",
    version: 4,
    asn: Number(asn),
    holdTimeSeconds: 240,
    routerId: address(socket.localAddress ?? ""),
    capabilities: [
      { type: "multiprotocol", afi: 1, safi: 1 },
      { type: "fourOctetAsn", asn: Number(asn) },
      { type: "gracefulRestart", restarting: kind === "stuck", notification: false, timeSeconds: 120, families: [] },
    ],
  });
  socket.write(open);
  if (kind === "deaf") {
    socket.pause();
    const keepalive = (): void => void socket.write(encodeMessage({ type: "keepalive" }));
    keepalive();
    setInterval(keepalive, keepaliveMs);
  } else socket.resume();
});
