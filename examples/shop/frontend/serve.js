// Serves the built page and hands /api to the backend (API_URL), with nothing but Node itself: the image needs no
// second server to be kept up to date.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("./dist", import.meta.url));
const API = new URL(process.env.API_URL ?? "http://127.0.0.1:8000");
const PORT = Number(process.env.PORT ?? 8080);
/** @type {Record<string, string>} */
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
};

/**
 * @param {import("node:http").IncomingMessage} incoming
 * @param {import("node:http").ServerResponse} outgoing
 */
function proxy(incoming, outgoing) {
  const upstream = request(
    new URL(incoming.url ?? "/", API),
    { method: incoming.method, headers: { ...incoming.headers, host: API.host } },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  upstream.on("error", () => {
    if (!outgoing.headersSent) outgoing.writeHead(502, { "content-type": "application/json" });
    outgoing.end('{"detail": "the backend cannot be reached"}');
  });
  incoming.pipe(upstream);
}

/**
 * The file that a path asks for, else the page itself, which has no server-side routes.
 * @param {string} path
 */
async function fileFor(path) {
  const wanted = join(ROOT, normalize(decodeURIComponent(path)));
  const found = wanted.startsWith(ROOT) && (await stat(wanted).catch(() => undefined))?.isFile();
  return found ? wanted : join(ROOT, "index.html");
}

/**
 * @param {import("node:http").IncomingMessage} incoming
 * @param {import("node:http").ServerResponse} outgoing
 */
async function answer(incoming, outgoing) {
  const path = (incoming.url ?? "/").split("?", 1)[0] ?? "/";
  if (path.startsWith("/api/")) return proxy(incoming, outgoing);
  const file = await fileFor(path).catch(() => join(ROOT, "index.html"));
  outgoing.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(outgoing);
}

const server = createServer(answer);
server.listen(PORT, "0.0.0.0");
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => server.close());
