// A receiver as one would write it in Node: it verifies with the official library and answers 204, or 400
// to what is not signed by the secret. It prints its address, and ends when its input does.
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

const server = createServer((req, res) => {
  const chunks = [];
  req.on("data", (chunk) => chunks.push(chunk));
  req.on("end", () => {
    try {
      const message = webhook.verify(Buffer.concat(chunks).toString("utf8"), req.headers);
      res.writeHead(204).end();
      console.log(JSON.stringify({ verified: message.type }));
    } catch (error) {
      res.writeHead(400).end(error.message);
      console.log(JSON.stringify({ refused: error.message }));
    }
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/` })));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
