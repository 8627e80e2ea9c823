// Serves a register image over Modbus TCP with jsmodbus: `node server.js IMAGE.json` prints the port it listens on.
const fs = require("fs");
const net = require("net");
const modbus = require("jsmodbus");

const image = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));

function table(words) {
  const buffer = Buffer.alloc(2 * 65536);
  for (const [address, word] of Object.entries(words || {})) buffer.writeUInt16BE(word, 2 * Number(address));
  return buffer;
}

const server = new net.Server();
new modbus.server.TCP(server, { holding: table(image.holding), input: table(image.input) });
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
