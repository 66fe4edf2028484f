// Runs on a host of a lab: makes TCP connections there for `Relay`, which cannot enter the host's namespace itself. Listens on a
// Unix socket, whose clients send {"address","port"} in a line and get {} or {"code","message"} in a line, then the connection.
import { connect, createServer, type Socket } from "node:net";

const [path = ""] = process.argv.slice(2);

const server = createServer({ allowHalfOpen: true }, (client) => {
  client.on("error", () => client.destroy());
  client.once("data", (line) => {
    client.pause();
    const { address, port } = JSON.parse(line.toString());
    const remote = connect({ host: address, port, allowHalfOpen: true });
    client.once("close", () => remote.destroy());
    remote.once("error", ({ code, message }: NodeJS.ErrnoException) => client.end(`${JSON.stringify({ code, message })}\n`));
    remote.once("connect", () => {
      remote.removeAllListeners("error");
      client.write("{}\n");
      join(client, remote);
    });
  });
});
server.listen(path, () => console.log("listening"));

function join(client: Socket, remote: Socket): void {
  remote.on("error", () => client.destroy());
  remote.once("close", (hadError) => hadError && client.destroy());
  client.pipe(remote);
  remote.pipe(client);
}
