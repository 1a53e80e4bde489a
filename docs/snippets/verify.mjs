// A receiver of webhooks in one file, to copy from. It needs nothing but Node.js 18:
//
//	WEBHOOK_SECRET=whsec_… node docs/snippets/verify.mjs
//
// ADDRESS is where it listens, 127.0.0.1:9000 by default.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const TOLERANCE = 5 * 60; // seconds between the sender's clock and ours
const MAX_BODY = 1 << 20; // bytes

// verify throws unless body (a Buffer) was signed with secret a moment ago.
export function verify(secret, headers, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length === 0) throw new Error("there is no secret");
  const { "webhook-id": id = "", "webhook-timestamp": timestamp = "", "webhook-signature": signatures = "" } = headers;
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) {
    throw new Error("the timestamp is too far away");
  }
  const want = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  for (const signature of signatures.split(" ")) {
    const [version, encoded = ""] = signature.split(",");
    const got = Buffer.from(encoded, "base64");
    // timingSafeEqual takes as long wherever they differ.
    if (version === "v1" && got.length === want.length && timingSafeEqual(got, want)) return;
  }
  throw new Error("no signature fits");
}

async function receive(request, response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_BODY) return response.writeHead(413).end();
  }
  const body = Buffer.concat(chunks);
  try {
    verify(process.env.WEBHOOK_SECRET ?? "", request.headers, body);
  } catch (error) {
    console.error("refused:", error.message);
    return response.writeHead(400).end(error.message);
  }
  const event = JSON.parse(body);
  // Here: put the event into a queue or a table of yours, once per id, and work later.
  console.error("verified", event.type, event.id);
  return response.writeHead(204).end();
}

const [host, port] = (process.env.ADDRESS ?? "127.0.0.1:9000").split(":");
const server = createServer(receive).listen(Number(port), host, () => {
  console.error(`listening on ${server.address().address}:${server.address().port}`);
});
