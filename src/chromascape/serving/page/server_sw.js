// A static page that was open under this address before has left a worker that answers in the server's place (see
// sw.js): this one takes its place, and ends. The page then loads itself anew.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(end()));

async function end() {
  const own = `chromascape ${self.registration.scope} `;
  for (const name of await caches.keys()) if (name.startsWith(own)) await caches.delete(name);
  await self.registration.unregister();
}
