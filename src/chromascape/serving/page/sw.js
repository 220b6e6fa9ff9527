// Keeps this page for visits without the network. VERSION and FILES (names and SHA-256) are put here by the export: with
// another content this file differs, and browsers take the new one when the page is opened the next time.
const VERSION = "{version}";
const FILES = {};
const CACHE = `chromascape ${self.registration.scope} ${VERSION}`;

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(forget()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET" && event.request.url.startsWith(self.registration.scope)) event.respondWith(answer(event.request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  for (const [name, digest] of Object.entries(FILES)) await cache.put(name, await fetched(name, digest));
}

// The browser's own cache will do where it has this version, and spares the visitor a second download.
async function fetched(name, digest) {
  let answer = await fetch(name);
  if (!answer.ok || (await sha256(answer.clone())) !== digest) answer = await fetch(name, { cache: "reload" });
  if (!answer.ok) throw new Error(`${name}: the host answers ${answer.status}`);
  return answer;
}

async function sha256(answer) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await answer.arrayBuffer()));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function forget() {
  const own = `chromascape ${self.registration.scope} `;
  for (const name of await caches.keys()) if (name.startsWith(own) && name !== CACHE) await caches.delete(name);
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const page = request.mode === "navigate" && /\/(index\.html)?$/.test(new URL(request.url).pathname);
  return (await cache.match(page ? "./" : request, { ignoreSearch: true })) ?? fetch(request);
}
