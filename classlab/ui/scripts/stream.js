// A stream of events that goes on after anything: a server that was started again, a laptop that slept, a hidden page.
// The id of an event is the row that the page then has; whoever opens the stream anew says the last one.
import {say} from "/static/frame.js";

const HIDDEN_MILLISECONDS = 20_000; // a browser holds few connections, so a page that nobody sees lets its own go

/** Call handlers[event](data) for every event. Returns a function that ends the stream. */
export function follow(path, handlers) {
  let source = null, last = "", ended = false, timer = null, lost = false;

  function open() {
    clearTimeout(timer);
    if (ended || (source && source.readyState !== EventSource.CLOSED)) return;
    const join = path.includes("?") ? "&" : "?";
    source = new EventSource(last ? `${path}${join}after=${encodeURIComponent(last)}` : path);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        handle(JSON.parse(event.data));
      });
    }
    source.onopen = () => connected(true);
    source.onerror = () => {
      connected(false);
      // The browser tries again by itself unless the server refused; then a new server may not.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 1000);
    };
  }

  function connected(now) {
    if (now !== lost) return;
    lost = !now;
    document.body.classList.toggle("lost", lost);
    say(lost ? "The page's server does not answer; the page keeps trying." : "The page's server answers again; no row is missed.", true);
  }

  function close() {
    clearTimeout(timer);
    source?.close();
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(close, HIDDEN_MILLISECONDS);
    else open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
  return () => { ended = true; close(); };
}
