// The process in a Pod of the demo. On each --address and --port, it answers HTTP with the Pod's name and node, and sends back UDP
// behind the same words.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { isIPv6 } from "node:net";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    name: { type: "string", default: "" },
    node: { type: "string", default: "" },
    port: { type: "string", default: "8080" },
    address: { type: "string", multiple: true, default: [] },
  },
});
const port = Number(values.port);
const words = `${values.name} on ${values.node}`;

for (const address of values.address) {
  const http = createServer((request, response) => {
    response.setHeader("connection", "close"); // A new connection shows who serves now.
    response.end(`${words}${request.url === "/" ? "" : ` ${request.url}`}\n`);
  });
  http.listen(port, address);
  await once(http, "listening");

  const udp = createSocket({ type: isIPv6(address) ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
  udp.on("message", (data, client) => udp.send(`${words} ${data}`, client.port, client.address));
  udp.bind(port, address);
  await once(udp, "listening");
}
console.log("serving");
