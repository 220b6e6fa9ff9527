// A static page that was open under this address before has left a worker that answers in the server's place (see
// sw.js): this one takes its place, and ends.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(end()));

async function end() {
  const own = `chromascape ${self.registration.scope} `;
  for (const name of await caches.keys()) if (name.startsWith(own)) await caches.delete(name);
  await self.clients.claim(); // else their pages can't be loaded anew from here
  const pages = await self.clients.matchAll({ type: "window" });
  console.log("pages", pages.length);
  await Promise.all(pages.map((page) => page.navigate(page.url).catch((e) => console.log("failed", e.message))));
  await self.registration.unregister();
}
